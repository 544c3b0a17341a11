"""Parts of the JSON Schemas of the API: texts, instants, identifiers, and members of bodies."""

from collections.abc import Sequence
from typing import Any

from portico.core.casting import BodyMember

Schema = dict[str, Any]
TYPES = {"string": "string", "url": "string", "integer": "integer", "boolean": "boolean"}


def body(members: Sequence[BodyMember]) -> Schema:
    """The schema of a request body; null stands for the default of every member that is not required."""
    schema: Schema = {"type": "object", "properties": {member.name: member_schema(member) for member in members}}
    if required := [member.name for member in members if member.required]:
        schema["required"] = required
    return schema


def member_schema(member: BodyMember) -> Schema:
    kind: str | list[str] = TYPES[member.kind] if member.required else [TYPES[member.kind], "null"]
    schema: Schema = {"type": kind, "description": member.description, "examples": [member.example]}
    if not member.required:
        schema["default"] = member.default
    bounds = {"minimum": member.minimum, "maximum": member.maximum, "maxLength": member.longest}
    return schema | {keyword: bound for keyword, bound in bounds.items() if bound is not None}


def string(description: str, example: str | None, *, nullable: bool = False, **more: Any) -> Schema:
    kind: str | list[str] = ["string", "null"] if nullable else "string"
    return {"type": kind, "description": description, "examples": [example], **more}


def uuid(description: str, example: str | None, *, nullable: bool = False) -> Schema:
    return string(description, example, nullable=nullable, format="uuid")


def instant(description: str, *, nullable: bool = False, example: str = "2026-03-26T17:51:59.588408Z") -> Schema:
    return string(description, example, nullable=nullable, format="date-time")


def constant(value: str) -> Schema:
    return {"type": "string", "const": value, "description": "What kind of resource this is.", "examples": [value]}


def integer(description: str, example: int, **more: Any) -> Schema:
    return {"type": "integer", "description": description, "examples": [example], **more}


def object_of(properties: Schema, *, optional: Sequence[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str, description: str) -> Schema:
    return {"type": "array", "items": reference(name), "description": description}


ROOM_ID = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0"
SESSION_ID = "7b61621f-62e0-4aad-ab11-9fd19e272e73"
PARTICIPANT_ID = "5ccc7b54-4df3-4bca-a65a-35a1ecc777f5"
EVENT_ID = "6b61621f-62e0-4aad-ab11-9fd19e272e73"
RECORDING_ID = "1ccc7b54-4df3-4bca-a65a-35a1ecc777f1"
COMPOSITION_ID = "59707b54-4df3-4bca-a65a-35a1ecc777f2"
