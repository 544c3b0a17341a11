"""The settings: PORTICO_* in the environment or in .env, or the same names as options of `portico serve`."""

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyAddress, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import EnvSettingsSource

from portico.config import secrets, values
from portico.config.secrets import HOLDS_PASSWORD, SECRET, SUFFIX, SecretFileError, SecretFiles, reads_file
from portico.core.client_address import Network, parse_networks
from portico.core.ice import IceServers
from portico.core.ice import parse as parse_servers
from portico.core.rate import Limit
from portico.edge.config import UPSTREAM, https_url

PREFIX = "PORTICO_"
ENV_FILE = ".env"


class SettingsError(Exception):
    """A setting is wrong; str() names the variable and what it should be."""


class Settings(BaseSettings):
    """All settings. `portico serve --help` and docs/settings.md show their descriptions."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    host: str = Field("127.0.0.1", description="Address to listen on; all if unset and TLS is not off.")
    port: Annotated[int, BeforeValidator(values.port)] = Field(
        8080, ge=1, le=65535, description="Port of REST, signaling and pages."
    )
    data_dir: Path = Field(Path("portico-data"), description="Where the database and Janus' files live.")
    api_key: Annotated[str | None, AfterValidator(values.api_key)] = Field(
        None,
        min_length=8,
        repr=False,
        json_schema_extra=SECRET,
        description="An API key of the default account; replacing it makes the former one void.",
    )
    database_url: Annotated[str | None, AfterValidator(values.database_url)] = Field(
        None,
        repr=False,
        json_schema_extra=HOLDS_PASSWORD,
        description="postgresql://...; an SQLite file in DATA_DIR when unset.",
    )
    public_url: Annotated[str | None, AfterValidator(values.public_url)] = Field(
        None, description="How browsers and developers reach this server; http://HOST:PORT when unset."
    )
    domain: Annotated[str | None, AfterValidator(values.host_name)] = Field(
        None, description="Host name of a public server: HTTPS, TURN and PUBLIC_URL follow from it."
    )
    tls: Literal["acme", "internal", "files", "off"] | None = Field(
        None, description="Where certificates are from: acme, internal, files or off; acme if DOMAIN is set, else off."
    )
    acme_url: Annotated[str | None, AfterValidator(values.url("https"))] = Field(
        None, description="Directory of an authority with ACME, with TLS=acme; Let's Encrypt's when unset."
    )
    tls_certificate: Path | None = Field(None, description="PEM file of certificate and chain, with TLS=files.")
    tls_key: Path | None = Field(None, description="PEM file of its key, with TLS=files.")
    https_port: Annotated[int, BeforeValidator(values.port)] = Field(
        443, ge=1, le=65535, description="Port of HTTPS and WSS, unless TLS is off."
    )
    http_port: Annotated[int, BeforeValidator(values.port)] = Field(
        80, ge=1, le=65535, description="Port of redirects to HTTPS and of ACME's checks, unless TLS is off."
    )
    turn: Literal["on", "off"] | None = Field(
        None, description="A TURN server for browsers whose networks block UDP: on or off; on if DOMAIN is set."
    )
    turn_port: Annotated[int, BeforeValidator(values.port)] = Field(
        3478, ge=1, le=65535, description="UDP and TCP port of TURN."
    )
    relay_ports: Annotated[tuple[int, int], NoDecode, BeforeValidator(values.port_range)] = Field(
        (61000, 65535), description="UDP ports of TURN's relay, which only Janus has to reach."
    )
    relay_peer_ports: Literal["media", "all"] = Field(
        "media", description="What TURN's relay reaches on Janus' addresses: RTP_PORTS alone, or all UDP ports."
    )
    turn_domain: Annotated[str | None, AfterValidator(values.host_name)] = Field(
        None, description="Second host name, such as turn.DOMAIN: TURN over TLS shares HTTPS_PORT by it."
    )
    turn_tls_port: Annotated[int, BeforeValidator(values.port)] = Field(
        5349, ge=1, le=65535, description="Port of TURN over TLS."
    )
    janus_bin: Path | None = Field(None, description="Janus to run; the one of script/build-janus, or on PATH.")
    janus_url: Annotated[str | None, AfterValidator(values.url("ws", "wss"))] = Field(
        None, description="ws://... of a Janus that runs elsewhere, instead of a child."
    )
    janus_api_secret: str | None = Field(
        None, repr=False, json_schema_extra=SECRET, description="The api_secret of the Janus of JANUS_URL."
    )
    janus_admin_key: str | None = Field(
        None,
        repr=False,
        json_schema_extra=SECRET,
        description="The admin_key that the three plugins of the Janus of JANUS_URL share.",
    )
    node_address: IPvAnyAddress | None = Field(
        None, description="Address of a private network on which Janus serves API processes of other machines."
    )
    node_port: Annotated[int, BeforeValidator(values.port)] = Field(
        8188, ge=1, le=65535, description="Port of the same."
    )
    media_interface: str | None = Field(None, description="Interface or address whose candidates Janus offers.")
    media_address: str | None = Field(None, description="Public address of this machine behind 1:1 NAT.")
    rtp_ports: Annotated[tuple[int, int], NoDecode, BeforeValidator(values.port_range)] = Field(
        (20000, 40000), description="UDP ports of media."
    )
    ice_servers: Annotated[str | None, AfterValidator(values.ice_servers)] = Field(
        None,
        repr=False,
        json_schema_extra=HOLDS_PASSWORD,
        description="STUN and TURN servers of your own: stun:HOST:PORT, turn:USER:PASSWORD@HOST:PORT?transport=tcp.",
    )
    ice_secret: str | None = Field(
        None,
        repr=False,
        json_schema_extra=SECRET,
        description="Secret that the TURN servers of ICE_SERVERS share (coturn: static-auth-secret), instead of users.",
    )
    token_expiry: Literal["join", "session"] = Field(
        "join", description="What an expired token ends: joining only, or the running call too."
    )
    drain_secs: int = Field(
        0, ge=0, description="How long SIGTERM and SIGHUP let calls go on, with new ones refused; 0 ends them at once."
    )
    hand_over_after_secs: float = Field(
        3,
        ge=0,
        le=600,
        description="How long proxies have to notice that a server stops before it hands its participants to others.",
    )
    empty_session_grace_secs: float = Field(
        5, ge=0, le=3600, description="How long an empty session waits for a participant before it ends."
    )
    webhook_private_key: str | None = Field(
        None,
        repr=False,
        json_schema_extra=SECRET,
        description="Ed25519 key that signs webhooks (base64 of 32 bytes); a file in DATA_DIR if unset.",
    )
    webhook_retry_hours: float = Field(
        24, ge=0, le=720, description="How long a webhook is tried again; 0 for three rounds, as the hosted service."
    )
    webhook_internal_addresses: bool | None = Field(
        None,
        description="Whether webhooks may go to private and loopback addresses; if unset while one account exists.",
    )
    webhook_proxy: Annotated[str | None, AfterValidator(values.proxy_url)] = Field(
        None,
        repr=False,
        json_schema_extra=HOLDS_PASSWORD,
        description="http://[USER:PASSWORD@]HOST:PORT of a proxy that all webhooks go through.",
    )
    webhook_log_days: float = Field(30, gt=0, le=3650, description="How long deliveries and events are kept.")
    storage_url: Annotated[str | None, AfterValidator(values.storage_url)] = Field(
        None, description="s3://BUCKET/PREFIX for finished files; a folder in DATA_DIR when unset."
    )
    s3_endpoint: Annotated[str | None, AfterValidator(values.url("http", "https"))] = Field(
        None, description="http(s)://... of an S3-compatible store; Amazon's when unset."
    )
    s3_public_endpoint: Annotated[str | None, AfterValidator(values.url("http", "https"))] = Field(
        None, description="The same as browsers reach it, for download links."
    )
    s3_region: str | None = Field(None, description="Region of the bucket; AWS_REGION when unset.")
    s3_access_key_id: str | None = Field(
        None, description="Access key; AWS_ACCESS_KEY_ID or the machine's role if unset."
    )
    s3_secret_access_key: str | None = Field(
        None, repr=False, json_schema_extra=SECRET, description="Its secret; AWS_SECRET_ACCESS_KEY if unset."
    )
    s3_virtual_hosted: bool = Field(
        False, description="Whether the store needs the bucket's name in the host instead of the path."
    )
    s3_proxy: Annotated[str | None, AfterValidator(values.proxy_url)] = Field(
        None,
        repr=False,
        json_schema_extra=HOLDS_PASSWORD,
        description="http://[USER:PASSWORD@]HOST:PORT of a proxy in front of the store.",
    )
    recording_days: float = Field(
        0, ge=0, le=36500, description="How long recordings and compositions are kept; 0 for ever."
    )
    history_days: float = Field(
        365, ge=0, le=36500, description="How long ended sessions and the audit log are kept; 0 for ever."
    )
    lost_recording_hours: float = Field(
        24, ge=0, le=8760, description="How long recordings of a lost media node wait for it; then they have no file."
    )
    recording_min_free_mb: int = Field(
        500, ge=0, description="Recording pauses while less than so many MB of the disk of DATA_DIR are free."
    )
    composition_audio: Literal["all", "none"] = Field(
        "all", description="Sound of a composition whose request has no audio_sources; none as in the hosted service."
    )
    composition_regions: int = Field(16, ge=1, le=100, description="Regions of a layout; 2 as in the hosted service.")
    composition_quality: Literal["fast", "default", "small"] = Field(
        "default", description="Encoding of compositions: fast, default, or small (smaller files, more time)."
    )
    compositions_at_once: int | None = Field(
        None, ge=1, le=256, description="Compositions that are made at the same time; one per core when unset."
    )
    join_limit: Annotated[Limit, NoDecode, BeforeValidator(values.rate_limit)] = Field(
        Limit(600, 3600),
        description="Joins that each token, and each address into each room, may make: 600/h, 20/m or 5/s.",
    )
    rate_limit: Annotated[Limit | None, NoDecode, BeforeValidator(values.rate_limit)] = Field(
        None, description="Requests that each account may make: 20/s, 600/m or 10000/h; any number if unset."
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(values.networks)] = Field(
        (), description="Proxies whose X-Forwarded-For or Forwarded names the client: 127.0.0.1, 10.0.0.0/8."
    )
    metrics_public: bool = Field(
        False, description="Whether /metrics answers all clients, not only this machine and holders of an API key."
    )
    sockets_per_address: int = Field(
        200, ge=1, description="Connections of one address (IPv6: of its /64) without a token or key."
    )
    sockets_without_token: int = Field(1000, ge=1, description="Connections without a token or key, of all addresses.")
    sockets_max: int = Field(20_000, ge=1, description="Connections in all.")
    messages_per_sec: int = Field(
        50, ge=1, le=10_000, description="Signaling messages that one participant may send, 20 times as many at once."
    )
    requests_per_address: int = Field(
        100, ge=1, description="Requests per second of one address that show no API key; more have to wait."
    )
    request_head_secs: int = Field(10, ge=1, le=3600, description="How long the head of a request may take.")
    request_body_secs: int = Field(30, ge=1, le=3600, description="How long the body of a request may take.")
    answer_secs: int = Field(20, ge=1, le=3600, description="How long a client may read nothing of an answer.")
    idle_secs: int = Field(75, ge=1, le=3600, description="How long a connection may wait for its next request.")
    list_timeout_secs: float = Field(
        5, ge=0.1, le=600, description="How long a list may be read from the database; then 503 with Retry-After."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity logged.")
    log_format: Literal["text", "json"] = Field("text", description="Form of log lines.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options, then the environment, then .env; the latter two with the files that their variables name."""
        sources = [init_settings]
        for variables in (env_settings, dotenv_settings):
            assert isinstance(variables, EnvSettingsSource)
            sources += [SecretFiles(settings_cls, variables), variables]
        return tuple(sources)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: dict[str, Any]) -> dict[str, Any]:
        return values.without_empty(data)

    @property
    def base_url(self) -> str:
        """Where this server is reached, without a trailing slash."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        if self.public_url is None and self.domain is not None:
            return https_url(self.domain, 443 if self.tls_mode == "off" else self.https_port)
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def tls_mode(self) -> Literal["acme", "internal", "files", "off"]:
        """The source of certificates; "off": no program of ours is in front of the server."""
        return self.tls or ("off" if self.domain is None else "acme")

    @property
    def listen_host(self) -> str:
        """The address that our own server listens on: loopback behind Caddy or HAProxy, which use HOST; else HOST."""
        return self.host if self.tls_mode == "off" else UPSTREAM

    @property
    def all_trusted_proxies(self) -> tuple[Network, ...]:
        """TRUSTED_PROXIES, with the program in front of the server."""
        ours = () if self.tls_mode == "off" else parse_networks(UPSTREAM)
        return (*self.trusted_proxies, *ours)

    @property
    def turn_is_on(self) -> bool:
        """Whether a TURN server of ours runs: it relays to our own Janus only, and where no others are named."""
        if self.turn is not None:
            return self.turn == "on"
        return self.domain is not None and self.janus_url is None and self.ice_servers is None

    @property
    def ice(self) -> IceServers:
        """The STUN and TURN servers that ICE_SERVERS names."""
        return IceServers(parse_servers(self.ice_servers or ""), self.ice_secret)

    @property
    def path_prefix(self) -> str:
        """The path of PUBLIC_URL, such as `/video`; empty when it has none."""
        return urlsplit(self.base_url).path

    @property
    def sqlite_file(self) -> Path | None:
        """The file of the SQLite database; None where PostgreSQL is used."""
        _, sqlite, path = self.database.partition("sqlite:///")
        return Path(unquote(path)) if sqlite else None

    @property
    def database(self) -> str:
        """The URL of the database in use."""
        return self.database_url or f"sqlite:///{quote(str(self.data_dir.absolute() / 'portico.db'))}"


def load(**chosen: object) -> Settings:
    """Settings from the environment; `chosen` (options of the command line) wins. Raises SettingsError."""
    options = values.without_empty({name: value for name, value in chosen.items() if value is not None})
    if refusal := secrets.refuse_options(options, Settings.model_fields):
        raise SettingsError(refusal)
    try:
        return Settings(**options)
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(each["loc"], each["msg"]) for each in error.errors())) from None
    except SecretFileError as error:
        raise SettingsError(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file {ENV_FILE} cannot be read: {error}") from None


def unknown_variables() -> list[str]:
    """A sentence for every PORTICO_* variable of the environment or of .env that is not a setting."""
    fields = Settings.model_fields
    known = [f"{PREFIX}{name}".upper() for name in fields]
    known += [f"{PREFIX}{name}{SUFFIX}".upper() for name, field in fields.items() if reads_file(field)]
    given = {name.upper(): f"in {ENV_FILE}" for name in dotenv_values(ENV_FILE, encoding="utf-8-sig")}
    given |= {name.upper(): "in the environment" for name in os.environ}
    sentences = []
    for name in sorted(given.keys() - set(known)):
        if name.startswith(PREFIX):
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
            hint = f"did you mean {nearest[0]}?" if nearest else "docs/settings.md lists all settings."
            sentences.append(f"{name} {given[name]} is not a setting and has no effect: {hint}")
    return sentences


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(location[0]).upper()}: {message}" if location else message
