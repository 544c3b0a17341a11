"""Settings: defaults, where they come from, and that a wrong one is named."""

from pathlib import Path

import pytest

from portico.config.secrets import is_secret, reads_file
from portico.config.settings import Settings, SettingsError, load, unknown_variables
from tests.test_docs import paths_outside_the_api


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Unset all variables of settings, and change to an empty folder, which has no .env file."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PORTICO_{name.upper()}", raising=False)
        monkeypatch.delenv(f"PORTICO_{name.upper()}_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.data_dir == Path("portico-data")
    assert settings.database == f"sqlite:///{Path('portico-data').absolute()}/portico.db"
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.empty_session_grace_secs == 5
    assert (settings.token_expiry, settings.log_level, settings.log_format) == ("join", "info", "text")
    assert settings.rtp_ports == (20000, 40000)
    assert settings.api_key is None


def test_an_option_wins_over_the_environment_which_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, nothing_set: Path
) -> None:
    (nothing_set / ".env").write_text("PORTICO_PORT=1001\nPORTICO_HOST=127.0.0.2\nSOMETHING_ELSE=x\n")
    assert load().port == 1001
    monkeypatch.setenv("PORTICO_PORT", "1002")
    assert load().port == 1002
    assert load(port=1003).port == 1003
    assert load(port=None).port == 1002, "an option that was not given"
    assert load().host == "127.0.0.2"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("PORT", "80.5"),
        ("ICE_SERVERS", "turn.example.com"),
        ("ICE_SERVERS", "stun:a, turn:user:password@b:0"),
        ("API_KEY", "short"),
        ("PUBLIC_URL", "example.com"),
        ("PORT", "tcp://10.0.0.1:8080"),
        ("API_KEY", "schl\u00fcssel-lang"),
        ("PUBLIC_URL", "ftp://example.com"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://exam ple.com"),
        ("PUBLIC_URL", "https://example.com:port"),
        ("PUBLIC_URL", "https://example.com:70000"),
        ("PUBLIC_URL", "https://user@example.com"),
        ("PUBLIC_URL", "https://example.com/?x=1"),
        ("PUBLIC_URL", "https://example.com/#x"),
        ("PUBLIC_URL", "https://example.com/a//b"),
        ("PUBLIC_URL", "https://example.com/../b"),
        ("PUBLIC_URL", "https://example.com/meet"),
        ("PUBLIC_URL", "https://example.com/v2/video"),
        ("PUBLIC_URL", "https://[::1"),
        ("PUBLIC_URL", "https://,"),
        ("JANUS_URL", "127.0.0.1:8188"),
        ("JANUS_URL", "http://127.0.0.1:8188"),
        ("JANUS_URL", "ws://"),
        ("S3_ENDPOINT", "store.example.com"),
        ("RTP_PORTS", "20000"),
        ("RTP_PORTS", "40000-20000"),
        ("RTP_PORTS", "20000-20000"),
        ("RTP_PORTS", "80-90"),
        ("RTP_PORTS", "20000-70000"),
        ("RTP_PORTS", "a-b"),
        ("TOKEN_EXPIRY", "never"),
        ("EMPTY_SESSION_GRACE_SECS", "-1"),
        ("EMPTY_SESSION_GRACE_SECS", "nan"),
        ("EMPTY_SESSION_GRACE_SECS", "inf"),
        ("EMPTY_SESSION_GRACE_SECS", "soon"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_setting_is_named_once_and_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"PORTICO_{name}", value)
    with pytest.raises(SettingsError) as wrong:
        load()
    message = str(wrong.value)
    assert message.count(f"PORTICO_{name}") == 1
    assert "\n" not in message


def test_no_path_of_the_server_itself_may_be_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that strips /meet sends /meet/ID for /meet/meet/ID, which the server would strip once more."""
    first_parts = {path.split("/")[1] for path in paths_outside_the_api() if path != "/"} | {"v2"}
    first_parts = {part for part in first_parts if not part.startswith("{")}
    assert {"meet", "docs", "healthz"} <= first_parts
    for part in first_parts:
        monkeypatch.setenv("PORTICO_PUBLIC_URL", f"https://example.com/{part}/")
        with pytest.raises(SettingsError, match=f"PORTICO_PUBLIC_URL: .*/{part}:"):
            load()
    monkeypatch.setenv("PORTICO_PUBLIC_URL", "https://example.com/meetings/")
    assert load().path_prefix == "/meetings"


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch, nothing_set: Path) -> None:
    """As compose's `${NAME:-}` leaves it; then .env still counts, and an empty option is no option."""
    (nothing_set / ".env").write_text("PORTICO_PORT=1001\nPORTICO_HOST=\n")
    for name in Settings.model_fields:
        monkeypatch.setenv(f"PORTICO_{name.upper()}", "")
    assert load() == load(**dict.fromkeys(Settings.model_fields, ""))
    assert load().model_dump(exclude={"port"}) == Settings.model_construct().model_dump(exclude={"port"})
    assert load().port == 1001


def test_blanks_at_the_ends_are_no_part_of_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_HOST", " 127.0.0.2\t")
    monkeypatch.setenv("PORTICO_LOG_LEVEL", "  ")
    assert (load().host, load().log_level) == ("127.0.0.2", "info")


def test_a_file_of_settings_that_cannot_be_read_is_named(nothing_set: Path) -> None:
    (nothing_set / ".env").write_bytes(b"PORTICO_HOST=\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env"):
        load()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("PORTICO_RECORDING_DAY", "PORTICO_RECORDING_DAYS"),
        ("PORTICO_RECORDINGS_DAYS", "PORTICO_RECORDING_DAYS"),
        ("PORTICO_PUBLICURL", "PORTICO_PUBLIC_URL"),
        ("portico_prot", "PORTICO_PORT"),
        ("PORTICO_QUITE_ANOTHER_THING", None),
    ],
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_misspelt_variable_is_named_with_the_nearest_setting(
    monkeypatch: pytest.MonkeyPatch, nothing_set: Path, name: str, nearest: str | None, where: str
) -> None:
    if where == ".env":
        (nothing_set / ".env").write_text(f"{name}=1\nOTHER=2\n")
    else:
        monkeypatch.setenv(name, "1")
    [sentence] = [each for each in unknown_variables() if name.upper() in each]
    assert where in sentence
    assert "no effect" in sentence
    assert (nearest is None) == ("did you mean" not in sentence)
    assert nearest is None or f"did you mean {nearest}?" in sentence


def test_settings_of_every_form_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"PORTICO_{name.upper()}", "")
    assert [each for each in unknown_variables() if any(name.upper() in each for name in Settings.model_fields)] == []


def test_every_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_PORT", "x")
    monkeypatch.setenv("PORTICO_LOG_LEVEL", "x")
    with pytest.raises(SettingsError, match=r"PORTICO_PORT.*PORTICO_LOG_LEVEL"):
        load()


def test_a_wrong_api_key_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_API_KEY", "s3cret")
    with pytest.raises(SettingsError) as wrong:
        load()
    assert "s3cret" not in str(wrong.value)


@pytest.mark.parametrize(
    ("chosen", "address"),
    [
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8080"),
        ({"host": "::"}, "http://127.0.0.1:8080"),
        ({"host": "::1"}, "http://[::1]:8080"),
        ({"host": "::1", "port": 9000}, "http://[::1]:9000"),
        ({"public_url": "https://video.example.com"}, "https://video.example.com"),
        ({"public_url": "https://example.com/video/"}, "https://example.com/video"),
    ],
)
def test_where_the_server_is_reached(chosen: dict[str, object], address: str) -> None:
    assert load(**chosen).base_url == address


def test_another_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_DATABASE_URL", "postgresql://user@/portico")
    assert load().database == "postgresql://user@/portico"


def test_a_data_directory_with_signs_that_mean_something_in_urls(tmp_path: Path) -> None:
    from sqlalchemy.engine import make_url

    for name in ("with blank", "per%20cent", "question?mark", "hash#tag", "ümläut"):
        folder = tmp_path / name
        assert make_url(load(data_dir=folder).database).database == str(folder / "portico.db")


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert (field.description or "").endswith("."), name


# Secrets: a variable or a file, never an option.

SECRETS = sorted(name for name, field in Settings.model_fields.items() if is_secret(field))
FROM_FILES = sorted(name for name, field in Settings.model_fields.items() if reads_file(field))
EXAMPLES = {
    "api_key": "My API Key",
    "webhook_private_key": "A" * 43 + "=",
    "s3_secret_access_key": "s3cret/with+signs=",
    "database_url": "postgresql://user:s3cret@host/portico",
    "webhook_proxy": "http://user:s3cret@host:3128",
    "s3_proxy": "http://user:s3cret@host:3128",
    "ice_servers": "stun:host, turn:user:s3cret@host:3478?transport=tcp",
}


def test_what_is_secret_is_marked_so() -> None:
    assert {"api_key", "webhook_private_key", "s3_secret_access_key"} <= set(SECRETS)
    assert set(FROM_FILES) == {*SECRETS, "database_url", "webhook_proxy", "s3_proxy", "ice_servers"}


@pytest.mark.parametrize("name", FROM_FILES)
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"], ids=repr)
def test_a_secret_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, nothing_set: Path, name: str, ending: str) -> None:
    secret = EXAMPLES.get(name, "an-example-of-a-secret")
    (nothing_set / "secret").write_text(secret + ending, newline="")
    monkeypatch.setenv(f"PORTICO_{name.upper()}_FILE", str(nothing_set / "secret"))
    monkeypatch.setenv(f"PORTICO_{name.upper()}", "")
    settings = load()
    assert getattr(settings, name) == secret
    assert secret not in repr(settings)


def test_the_file_may_be_named_in_dotenv_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, nothing_set: Path
) -> None:
    (nothing_set / "secret").write_text("from-the-file")
    (nothing_set / ".env").write_text(f"\ufeffPORTICO_API_KEY_FILE={nothing_set}/secret\n")
    assert load().api_key == "from-the-file"
    monkeypatch.setenv("PORTICO_API_KEY", "from-the-environment")
    assert load().api_key == "from-the-environment"


@pytest.mark.parametrize("problem", ["missing", "a folder", "empty", "blank line", "not text", "too large", "both"])
def test_a_file_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, nothing_set: Path, problem: str) -> None:
    path = nothing_set / "secret"
    match problem:
        case "a folder":
            path.mkdir()
        case "empty" | "blank line":
            path.write_text("" if problem == "empty" else "\n")
        case "not text":
            path.write_bytes(b"\xff" * 40)
        case "too large":
            path.write_text("x" * 65_537)
        case "both":
            path.write_text("from-the-file")
            monkeypatch.setenv("PORTICO_API_KEY", "from-the-environment")
    monkeypatch.setenv("PORTICO_API_KEY_FILE", str(path))
    with pytest.raises(SettingsError, match="PORTICO_API_KEY_FILE") as wrong:
        load()
    assert "\n" not in str(wrong.value)
    assert "from-the" not in str(wrong.value)


def test_what_is_no_secret_comes_from_no_file(monkeypatch: pytest.MonkeyPatch, nothing_set: Path) -> None:
    (nothing_set / "port").write_text("1001")
    monkeypatch.setenv("PORTICO_PORT_FILE", str(nothing_set / "port"))
    assert load().port == 8080


@pytest.mark.parametrize("name", FROM_FILES)
def test_a_secret_is_no_option_because_process_lists_show_it(name: str) -> None:
    secret = EXAMPLES.get(name, "an-example-of-a-secret")
    with pytest.raises(SettingsError, match=f"PORTICO_{name.upper()}_FILE") as wrong:
        load(**{name: secret})
    assert secret not in str(wrong.value)


@pytest.mark.parametrize("value", ["https://host:3128", "http://", "host:3128", "http://host:3128/path", "http://h:x"])
def test_a_proxy_is_named_by_host_and_port(monkeypatch: pytest.MonkeyPatch, nothing_set: Path, value: str) -> None:
    monkeypatch.setenv("PORTICO_WEBHOOK_PROXY", value)
    with pytest.raises(SettingsError, match="PORTICO_WEBHOOK_PROXY"):
        load()


def test_a_database_without_a_password_may_be_an_option() -> None:
    assert load(database_url="postgresql://user@host/portico").database == "postgresql://user@host/portico"


def test_the_secrets_of_an_external_janus_are_not_shown() -> None:
    settings = load(janus_url="ws://127.0.0.1:8188")
    settings = settings.model_copy(update={"janus_api_secret": "open sesame", "janus_admin_key": "open sesame"})
    assert "open sesame" not in repr(settings) + str(settings)
