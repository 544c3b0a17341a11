"""Reads secret settings from a variable, or from the file that PORTICO_..._FILE names, and never from an option."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from pydantic_settings.sources import EnvSettingsSource

SECRET: dict[str, Any] = {"secret": "whole"}
"""As `json_schema_extra` of a setting: its value is a secret."""
HOLDS_PASSWORD: dict[str, Any] = {"secret": "password"}
"""As `json_schema_extra` of a setting: its value is a URL, which may hold a password."""
SUFFIX = "_FILE"
BYTES_MAX = 65_536


class SecretFileError(Exception):
    """A file that was named cannot be used; str() is a sentence that names the variable."""


def is_secret(field: FieldInfo) -> bool:
    """Whether the setting is never an option of a command."""
    return _secrecy(field) == "whole"


def reads_file(field: FieldInfo) -> bool:
    """Whether the setting may also be given by a file, whose name is in PORTICO_<NAME>_FILE."""
    return _secrecy(field) is not None


def refuse_options(chosen: Mapping[str, object], fields: Mapping[str, FieldInfo]) -> str | None:
    """Why these options of a command cannot be taken; None when none of them shows a secret."""
    for name, value in chosen.items():
        field = fields.get(name)
        if value is None or field is None:
            continue
        has_password = _secrecy(field) == "password" and _has_password(str(value))
        if is_secret(field) or has_password:
            variable = f"PORTICO_{name.upper()}"
            what = "a password in it" if has_password else "it"
            return (
                f"{variable}: as an option {what} would be shown in the process list; "
                f"set the variable, or write it to a file and name that in {variable}{SUFFIX}"
            )
    return None


class SecretFiles(PydanticBaseSettingsSource):
    """What the files contain that PORTICO_..._FILE variables of another source name.

    Raises SecretFileError for a file that cannot be read or is empty, and where the source has the variable itself too.
    """

    def __init__(self, settings: type[BaseSettings], variables: EnvSettingsSource) -> None:
        super().__init__(settings)
        self._variables = variables.env_vars  # names are in lower case
        self._prefix = str(settings.model_config.get("env_prefix") or "")

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The content of the setting's file, or None."""
        name = f"{self._prefix}{field_name}".upper()
        path = self._variables.get(f"{name}{SUFFIX}".lower())
        if not path or not reads_file(field):
            return None, field_name, False
        if self._variables.get(name.lower()):
            raise SecretFileError(f"{name}: set this or {name}{SUFFIX}, not both")
        return _content(Path(path), f"{name}{SUFFIX}"), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def _has_password(text: str) -> bool:
    """Whether a URL has a password; also for a list of STUN and TURN servers, which have no // before the host."""
    return urlsplit(text).password is not None or re.search(r"\bturns?:(?!//)[^@\s,]*@", text) is not None


def _secrecy(field: FieldInfo) -> str | None:
    extra = field.json_schema_extra
    secrecy = extra.get("secret") if isinstance(extra, dict) else None
    return secrecy if isinstance(secrecy, str) else None


def _content(path: Path, variable: str) -> str:
    """The text of the file without a byte order mark and the end of its line, which editors and `echo` add."""
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
        text = raw.decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        raise SecretFileError(f"{variable}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretFileError(f"{variable}: {path} is not UTF-8 text") from None
    if len(raw) > BYTES_MAX:
        raise SecretFileError(f"{variable}: {path} has more than {BYTES_MAX:,} bytes")
    if not text:
        raise SecretFileError(f"{variable}: {path} is empty")
    return text
