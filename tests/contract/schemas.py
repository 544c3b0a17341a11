"""Validators of answers: the official specification of the Telnyx Video API, and the document that we publish."""

import json
import re
from copy import deepcopy
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

_OFFICIAL = Path(__file__).parent / "data" / "video-openapi.json"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
Document = dict[str, Any]


def _formats() -> FormatChecker:
    checker = FormatChecker(formats=["uuid"])
    checker.checkers["date-time"] = (_is_instant, ValueError)
    return checker


def _is_instant(value: object) -> bool:
    if isinstance(value, str):
        datetime.fromisoformat(value)
        return _INSTANT.fullmatch(value) is not None
    return True


@cache
def official() -> Document:
    """The published specification, with every declared member nullable, as the live service answers.

    Besides, `*` may stand among video sources, as their description says, and a composition that failed has no status,
    because the specification has no word for it.
    """
    document: Document = json.loads(_OFFICIAL.read_text())
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        _make_nullable(schema)
    sources = schemas["VideoRegion"]["properties"]["video_sources"]
    sources["items"] = {"anyOf": [sources["items"], {"const": "*"}]}
    schemas["RoomComposition"]["properties"]["status"]["enum"].append(None)
    return document


def _make_nullable(schema: Document) -> None:
    for member in schema.get("properties", {}).values():
        if isinstance(member.get("type"), str):
            member["type"] = [member["type"], "null"]
        _make_nullable(member)
    if "items" in schema:
        _make_nullable(schema["items"])


class Contract:
    """Checks answers against one OpenAPI document; `undeclared` validates statuses that it does not mention."""

    def __init__(self, document: Document, *, prefix: str = "", undeclared: str | None = None) -> None:
        self._document = document
        self._undeclared = undeclared
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", prefix + path)), item) for path, item in document["paths"].items()
        ]

    def check(self, method: str, path: str, status: int, content_type: str | None, body: bytes) -> bool:
        """Raise unless the answer is as declared; False when the document does not know the operation."""
        operation = self._operation(method.lower(), path)
        if operation is None:
            return False
        declared = self._response(operation["responses"], status)
        if status == 204:
            assert body == b"" and content_type is None, f"{method} {path}: 204 with content"
            return True
        assert content_type == "application/json", f"{method} {path}: {content_type}"
        schema = declared.get("content", {}).get("application/json", {}).get("schema", {})
        self._validate(schema, json.loads(body))
        return True

    def _operation(self, method: str, path: str) -> Document | None:
        for pattern, item in self._paths:
            if pattern.fullmatch(path):
                operation: Document | None = item.get(method)
                return operation
        return None

    def _response(self, responses: Document, status: int) -> Document:
        found = responses.get(str(status)) or responses.get(f"{status // 100}XX")
        if found is None:
            assert self._undeclared is not None and status >= 400, f"status {status} is not declared"
            schema = {"$ref": f"#/components/schemas/{self._undeclared}"}
            return {"content": {"application/json": {"schema": schema}}}
        if "$ref" in found:
            found = self._document["components"]["responses"][found["$ref"].rpartition("/")[2]]
        return found  # type: ignore[no-any-return]

    def _validate(self, schema: Document, value: object) -> None:
        whole = {**deepcopy(schema), "components": self._document["components"]}
        errors = list(Draft202012Validator(whole, format_checker=_formats()).iter_errors(value))
        assert not errors, "\n".join(f"{error.json_path}: {error.message}" for error in errors)
