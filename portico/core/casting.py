"""Converts the members of a JSON body to their types as leniently as the hosted API, and names every wrong one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from portico.core.errors import Fault, Invalid

Value = str | int | bool | None
MemberKind = Literal["string", "integer", "boolean", "url"]
URL_LENGTH_MAX = 2000

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""The pattern of a UUID (RFC 9562) in lower case."""
_UUID = re.compile(UUID, re.IGNORECASE)
_NOT_IN_URL = re.compile(r"[\s\x00-\x20\x7f-\x9f\\]")
_NOT_IN_HOST = re.compile(r"[^\w.\-]")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class BodyMember:
    """A member of a JSON body. `minimum` and `maximum` bound integers, `longest` is a number of characters."""

    name: str
    kind: MemberKind
    description: str
    default: Value = None
    minimum: int | None = None
    maximum: int | None = None
    longest: int | None = None
    required: bool = False
    example: Value = None


class _Wrong(Exception):
    def __init__(self, code: str, title: str, detail: str) -> None:
        self.code, self.title, self.detail = code, title, detail


def cast(members: Sequence[BodyMember], body: object) -> dict[str, Value]:
    """The members that the body has, converted; null becomes the default, unknown members are ignored.

    Raises Invalid with one Fault for each wrong member, in the order of `members`.
    """
    if not isinstance(body, Mapping):
        raise Invalid(Fault("10027", "Unprocessable Entity", "The request body should be a JSON object."))
    values: dict[str, Value] = {}
    faults = []
    for member in members:
        if member.name not in body and not member.required:
            continue
        try:
            values[member.name] = _value(member, body.get(member.name))
        except _Wrong as wrong:
            faults.append(Fault(wrong.code, wrong.title, wrong.detail, pointer=f"/{member.name}"))
    if faults:
        raise Invalid(*faults)
    return values


def with_defaults(members: Sequence[BodyMember], body: object) -> dict[str, Value]:
    """Like `cast`, with the defaults of absent members."""
    return {member.name: member.default for member in members} | cast(members, body)


def parse_uuid(text: str) -> str | None:
    """The lower-case form of a UUID; None of any other text."""
    return text.lower() if _UUID.fullmatch(text) else None


def parse_truth(text: str) -> bool | None:
    """true, false, 1 or 0 as they stand in a query or a string; None for anything else."""
    return _TRUTH.get(text)


def is_storable(text: str) -> bool:
    """False for what PostgreSQL and UTF-8 cannot hold: the NUL character and lone surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _value(member: BodyMember, given: object) -> Value:
    # Ecto, which the hosted API uses, reads an empty string as no value.
    if given is None or (given == "" and member.kind in ("string", "url")):
        if member.required:
            raise _Wrong("10004", "Missing required parameter", f"{member.name} is required.")
        return member.default
    match member.kind:
        case "integer":
            return _integer(member, given)
        case "boolean":
            return _boolean(member, given)
        case "string":
            return _string(member, given)
        case "url":
            return _url(member, given)


def _integer(member: BodyMember, given: object) -> int:
    if isinstance(given, str) and _INTEGER.fullmatch(given):
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise _Wrong("10026", "Invalid parameter type", f"{member.name} should be an integer.")
    too_small = member.minimum is not None and given < member.minimum
    too_large = member.maximum is not None and given > member.maximum
    if too_small or too_large:
        allowed = f"{member.minimum} to {member.maximum}"
        raise _Wrong("10033", "Value outside of range", f"The value is outside of allowed range {allowed}")
    return given


def _boolean(member: BodyMember, given: object) -> bool:
    truth = given if isinstance(given, bool) else parse_truth(given) if isinstance(given, str) else None
    if truth is None:
        raise _Wrong("10026", "Invalid parameter type", f"{member.name} should be true or false.")
    return truth


def _string(member: BodyMember, given: object) -> str:
    if not isinstance(given, str):
        raise _Wrong("10026", "Invalid parameter type", f"{member.name} should be a string.")
    if not is_storable(given):
        raise _Wrong("10027", "Unprocessable Entity", f"{member.name} contains a character that cannot be stored.")
    if member.longest is not None and len(given) > member.longest:
        detail = f"{member.name} should have at most {member.longest} characters."
        raise _Wrong("10025", "String length out of range", detail)
    return given


def _url(member: BodyMember, given: object) -> str:
    if not isinstance(given, str):
        raise _Wrong("10026", "Invalid parameter type", f"{member.name} should be a string.")
    fault = _fault_of_url(given)
    if fault:
        raise _Wrong("10003", "Invalid URL", f"{member.name} {fault}")
    return given


def _fault_of_url(url: str) -> str | None:
    if len(url) > URL_LENGTH_MAX:
        return f"should have at most {URL_LENGTH_MAX} characters."
    if len(url.encode(errors="surrogatepass")) > URL_LENGTH_MAX:
        return f"should have at most {URL_LENGTH_MAX} bytes in UTF-8."  # more than an index entry of PostgreSQL holds
    if not is_storable(url) or _NOT_IN_URL.search(url):
        return "contains a character that no URL has."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "should be a valid URL."
    if parts.scheme not in ("http", "https"):
        return "should begin with http:// or https://."
    if not host or not _is_host(host):
        return "should name a host."
    if "@" in parts.netloc:
        return "should not contain a user name or password."
    return None


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            ip_address(host)
        except ValueError:
            return False
        return True
    return not _NOT_IN_HOST.search(host)
