"""The reference page at /docs: the OpenAPI document as one HTML page that loads nothing from anywhere."""

import base64
import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import Any

_STYLE = (Path(__file__).parent / "reference.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"

_CODE = re.compile(r"`([^`]+)`")
_LIMITS = {"minimum": "at least", "maximum": "at most", "maxLength": "longest", "format": "format", "const": "always"}
_METHODS = ("get", "post", "patch", "put", "delete")


def render(document: dict[str, Any]) -> str:
    """The whole page."""
    groups = _by_tag(document)
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    title = escape(f"{document['info']['title']} API {document['info']['version']}")
    main = [
        f"<header><h1>{title}</h1><p class=lead>{_prose(document['info']['summary'])}</p>"
        f"<p>{_prose(document['info']['description'])}</p>"
        '<p><a href="openapi.json">OpenAPI 3.1 document</a></p></header>'
    ]
    for tag, operations in groups.items():
        main.append(f'<section><h2 id="{_anchor(tag)}">{escape(tag)}</h2><p>{_prose(described[tag])}</p>')
        main.extend(_operation(document, *operation) for operation in operations)
        main.append("</section>")
    main.append(_resources(document))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body>{_navigation(groups)}<main>{''.join(main)}</main></body></html>"
    )


def curl(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    """A command that works once $PORTICO, $KEY and the identifiers in the path are filled in."""
    shown = re.sub(r"\{(\w+)\}", lambda match: f"${match[1].upper()}", path)
    lines = [f'curl "$PORTICO{shown}"']
    if method != "get":
        lines[0] = f'curl -X {method.upper()} "$PORTICO{shown}"'
    if operation.get("security") != []:
        lines.append('-H "Authorization: Bearer $KEY"')
    schema = _body_schema(operation)
    if schema is not None:
        example = {name: member["examples"][0] for name, member in schema["properties"].items()}
        lines += ['-H "Content-Type: application/json"', f"-d '{json.dumps(example, indent=2)}'"]
    return " \\\n  ".join(lines)


def example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value that the schema describes, from its examples; optional embedded lists are left out."""
    schema = _resolved(document, schema)
    if schema.get("examples"):
        return schema["examples"][0]
    if schema["type"] == "object":
        required = schema.get("required", [])
        return {name: example(document, schema["properties"][name]) for name in required}
    return [example(document, schema["items"])] if schema["type"] == "array" else None


def _by_tag(document: dict[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                groups[item[method]["tags"][0]].append((method, path, item[method]))
    return groups


def _navigation(groups: dict[str, list[tuple[str, str, dict[str, Any]]]]) -> str:
    links = []
    for tag, operations in groups.items():
        inner = "".join(
            f'<li><a href="#{operation["operationId"]}"><b class="{method}">{method}</b>'
            f"{escape(operation['summary'])}</a></li>"
            for method, _, operation in operations
        )
        links.append(f'<a class=tag href="#{_anchor(tag)}">{escape(tag)}</a><ul>{inner}</ul>')
    links.append('<a class=tag href="#resources">Resources and errors</a>')
    return f"<nav aria-label=Operations>{''.join(links)}</nav>"


def _needed(operation: dict[str, Any]) -> str:
    """A note that no key is needed, or of the scopes any of which lets a key call the operation."""
    security = operation.get("security")
    if security is None:
        return ""
    if not security:
        return '<span class=note title="Send no API key">no key needed</span>'
    scopes = " or ".join(scope for each in security for scope in each["bearerAuth"])
    return f'<span class=note title="A key with scopes needs one of these">scope {escape(scopes)}</span>'


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    status, answer = next((code, what) for code, what in operation["responses"].items() if code < "3")
    needed = _needed(operation)
    left = [
        f"<p>{_prose(operation.get('description', ''))}</p>",
        _parameters("Path", operation, "path"),
        _parameters("Query", operation, "query"),
    ]
    schema = _body_schema(operation)
    if schema is not None:
        left.append(f"<h4>Body</h4>{_members(document, schema)}")
    left.append(_errors(operation))
    right = [_sample("Request", curl(document, method, path, operation))]
    if "content" in answer:
        shown = example(document, answer["content"]["application/json"]["schema"])
        right.append(_sample(f"Answer {status}", json.dumps(shown, indent=2)))
    else:
        right.append(_sample(f"Answer {status}", "(no content)"))
    return (
        f'<article id="{operation["operationId"]}"><h3>{escape(operation["summary"])}{needed}</h3>'
        f'<p class=path><b class="{method}">{method}</b><code>{escape(path)}</code></p>'
        f"<div class=columns><div>{''.join(left)}</div><div>{''.join(right)}</div></div></article>"
    )


def _resources(document: dict[str, Any]) -> str:
    parts = ["<section><h2 id=resources>Resources and errors</h2>"]
    for name, schema in document["components"]["schemas"].items():
        parts.append(f'<article id="schema-{name}"><h3>{name}</h3>{_members(document, schema)}</article>')
    return "".join(parts) + "</section>"


def _parameters(title: str, operation: dict[str, Any], where: str) -> str:
    rows = [
        _row(each["name"], each["schema"] | {"description": each.get("description", "")}, required=where == "path")
        for each in operation.get("parameters", [])
        if each["in"] == where
    ]
    return f"<h4>{title}</h4>{_table(rows)}" if rows else ""


def _members(document: dict[str, Any], schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    return _table([_row(name, member, required=name in required) for name, member in schema["properties"].items()])


def _table(rows: list[str]) -> str:
    return f"<div class=scroll><table><tbody>{''.join(rows)}</tbody></table></div>"


def _row(name: str, schema: dict[str, Any], *, required: bool) -> str:
    limits = [f"{words} {schema[keyword]}" for keyword, words in _LIMITS.items() if keyword in schema]
    if "default" in schema:
        limits.append(f"default {json.dumps(schema['default'])}")
    if not required:
        limits.append("optional")
    return (
        f"<tr><th scope=row><code>{escape(name)}</code></th><td><span class=type>{_type(schema)}</span> "
        f"<span class=limits>{escape(' · '.join(limits))}</span><br>{_prose(schema.get('description', ''))}</td></tr>"
    )


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    kind = schema.get("type", "string")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    return escape(" or ".join(kind) if isinstance(kind, list) else kind)


def _errors(operation: dict[str, Any]) -> str:
    rows = [
        f"<tr><th scope=row><code>{code}</code></th><td>{_prose(answer['description'])}</td></tr>"
        for code, answer in operation["responses"].items()
        if code >= "4"
    ]
    return f"<details><summary>Errors</summary>{_table(rows)}</details>"


def _sample(title: str, text: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption><pre tabindex=0><code>{escape(text)}</code></pre></figure>"


def _body_schema(operation: dict[str, Any]) -> dict[str, Any] | None:
    body = operation.get("requestBody")
    schema: dict[str, Any] | None = body["content"]["application/json"]["schema"] if body else None
    return schema


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _anchor(tag: str) -> str:
    return tag.lower().replace(" ", "-")
