"""Settings: PORTICO_* in the environment or in .env, or the same names as options of `portico serve`."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import EnvSettingsSource

from portico import secret_settings
from portico.core import rate
from portico.core.rate import Limit
from portico.secret_settings import HOLDS_PASSWORD, SECRET, SecretFileError, SecretFiles


class SettingsError(Exception):
    """A setting is wrong; str() names the variable and what it should be."""


def _port_range(value: object) -> object:
    if isinstance(value, str):
        low, _, high = value.partition("-")
        if not (low.isdigit() and high.isdigit()) or not 1024 <= int(low) < int(high) <= 65535:
            raise ValueError("should be two ports like 20000-40000")
        return int(low), int(high)
    return value


def _http_url(value: str | None) -> str | None:
    if value is not None and not value.startswith(("http://", "https://")):
        raise ValueError("should begin with http:// or https://")
    return value.rstrip("/") if value else None


def _database_url(value: str | None) -> str | None:
    if value is not None and not value.startswith(("postgresql://", "sqlite:////")):
        raise ValueError("should be postgresql://USER:PASSWORD@HOST/NAME, or sqlite:////FILE")
    return value


def _storage_url(value: str | None) -> str | None:
    if value is not None and not re.match("s3://[^/]", value):
        raise ValueError("should be s3://BUCKET or s3://BUCKET/PREFIX")
    return value


def _rate_limit(value: object) -> object:
    return rate.parse(value) if isinstance(value, str) else value


class Settings(BaseSettings):
    """Everything an operator may choose. Descriptions are what `portico serve --help` and docs/settings.md show."""

    model_config = SettingsConfigDict(env_prefix="PORTICO_", env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=1, le=65535, description="Port of REST, signaling and pages.")
    data_dir: Path = Field(Path("portico-data"), description="Where the database and Janus' files live.")
    api_key: str | None = Field(
        None,
        min_length=8,
        repr=False,
        json_schema_extra=SECRET,
        description="An API key of the default account; replacing it makes the former one void.",
    )
    database_url: Annotated[str | None, AfterValidator(_database_url)] = Field(
        None,
        repr=False,
        json_schema_extra=HOLDS_PASSWORD,
        description="postgresql://...; an SQLite file in DATA_DIR when unset.",
    )
    public_url: Annotated[str | None, AfterValidator(_http_url)] = Field(
        None, description="How browsers and developers reach this server; http://HOST:PORT when unset."
    )
    janus_bin: Path | None = Field(None, description="Janus to run; the one of script/build-janus, or on PATH.")
    janus_url: str | None = Field(None, description="ws://... of a Janus that runs elsewhere, instead of a child.")
    media_interface: str | None = Field(None, description="Interface or address whose candidates Janus offers.")
    media_address: str | None = Field(None, description="Public address of this machine behind 1:1 NAT.")
    rtp_ports: Annotated[tuple[int, int], NoDecode, BeforeValidator(_port_range)] = Field(
        (20000, 40000), description="UDP ports of media."
    )
    token_expiry: Literal["join", "session"] = Field(
        "join", description="What an expired token ends: joining only, or the running call too."
    )
    empty_session_grace_secs: float = Field(5, ge=0, le=3600, description="How long an empty session waits.")
    webhook_private_key: str | None = Field(
        None,
        repr=False,
        json_schema_extra=SECRET,
        description="Ed25519 key that signs webhooks (base64 of 32 bytes); a file in DATA_DIR if unset.",
    )
    webhook_retry_hours: float = Field(
        24, ge=0, le=720, description="How long a webhook is tried again; 0 for three rounds, as the hosted service."
    )
    webhook_internal_addresses: bool = Field(
        True, description="Whether webhooks may go to private and loopback addresses."
    )
    webhook_log_days: float = Field(30, gt=0, le=3650, description="How long deliveries and events are kept.")
    storage_url: Annotated[str | None, AfterValidator(_storage_url)] = Field(
        None, description="s3://BUCKET/PREFIX for finished files; a folder in DATA_DIR when unset."
    )
    s3_endpoint: Annotated[str | None, AfterValidator(_http_url)] = Field(
        None, description="http(s)://... of an S3-compatible store; Amazon's when unset."
    )
    s3_public_endpoint: Annotated[str | None, AfterValidator(_http_url)] = Field(
        None, description="The same as browsers reach it, for download links."
    )
    s3_region: str | None = Field(None, description="Region of the bucket; AWS_REGION when unset.")
    s3_access_key_id: str | None = Field(
        None, description="Access key; AWS_ACCESS_KEY_ID or the machine's role if unset."
    )
    s3_secret_access_key: str | None = Field(
        None, repr=False, json_schema_extra=SECRET, description="Its secret; AWS_SECRET_ACCESS_KEY if unset."
    )
    recording_days: float = Field(
        0, ge=0, le=36500, description="How long recordings and compositions are kept; 0 for ever."
    )
    recording_min_free_mb: int = Field(
        500, ge=0, description="Recording pauses while less than so many MB of the disk of DATA_DIR are free."
    )
    composition_audio: Literal["all", "none"] = Field(
        "all", description="Sound of a composition whose request does not say; none as in the hosted service."
    )
    composition_regions: int = Field(16, ge=1, le=100, description="Regions of a layout; 2 as in the hosted service.")
    composition_quality: Literal["fast", "default", "small"] = Field(
        "default", description="What a composition spends its time on."
    )
    compositions_at_once: int | None = Field(
        None, ge=1, le=256, description="Films made at once; one per core if unset."
    )
    rate_limit: Annotated[Limit | None, NoDecode, BeforeValidator(_rate_limit)] = Field(
        None, description="Requests that each account may make: 20/s, 600/m or 10000/h; any number if unset."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity logged.")
    log_format: Literal["text", "json"] = Field("text", description="How log lines look.")

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

    @property
    def base_url(self) -> str:
        """Where this server is reached, without a trailing slash."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def sqlite_file(self) -> Path | None:
        """The file of the SQLite database, if that is what is in use."""
        _, sqlite, path = self.database.partition("sqlite:///")
        return Path(unquote(path)) if sqlite else None

    @property
    def database(self) -> str:
        """The URL of the database in use."""
        return self.database_url or f"sqlite:///{quote(str(self.data_dir.absolute() / 'portico.db'))}"


def load(**chosen: object) -> Settings:
    """Settings from the environment; `chosen` (options of the command line) wins. Raises SettingsError."""
    if refusal := secret_settings.refuse_options(chosen, Settings.model_fields):
        raise SettingsError(refusal)
    try:
        return Settings(**{name: value for name, value in chosen.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [f"PORTICO_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsError("; ".join(wrong)) from None
    except SecretFileError as error:
        raise SettingsError(str(error)) from None
