"""The pages, their assets and connect.js: what is served, and with which headers."""

from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette

from portico import __version__
from portico.web import pages

HTML = '<!doctype html><script src="/assets/meet-Ab3_-9xZ.js"></script>'
CONSOLE = '<!doctype html><script src="/assets/console-Ab3_-9xZ.js"></script>'
CHECK = '<!doctype html><script src="/assets/check-Ab3_-9xZ.js"></script>'
FRONT = '<!doctype html><link rel="stylesheet" href="assets/front-Ab3_-9xZ.css">'
SCRIPT = "console.log('a page')"
CONNECT = "window.Portico = {}"


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """What a build leaves behind."""
    folder = tmp_path / "assets"
    folder.mkdir()
    (folder / "meet.html").write_text(HTML)
    (folder / "console.html").write_text(CONSOLE)
    (folder / "check.html").write_text(CHECK)
    (folder / "front.html").write_text(FRONT)
    (folder / "meet-Ab3_-9xZ.js").write_text(SCRIPT)
    (folder / "meet-0123abcd.css").write_text("body {}")
    (folder / "connect.js").write_text(CONNECT)
    (tmp_path / "secret-01234567.js").write_text("outside of the folder")
    return folder


@pytest.fixture
def browser(assets: Path) -> AsyncClient:
    return client_of(assets)


def client_of(assets: Path) -> AsyncClient:
    return AsyncClient(
        transport=ASGITransport(Starlette(routes=pages.routes(assets))), base_url="http://meet.example.com:8080"
    )


def directives(policy: str) -> dict[str, str]:
    return dict(directive.split(" ", 1) for directive in policy.split("; "))


async def test_every_room_has_the_page(browser: AsyncClient) -> None:
    answer = await browser.get("/meet/0e0a12b6-9b43-4b04-a0d2-8a21c1a1f0c1")
    assert (answer.status_code, answer.text) == (200, HTML)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_page_may_use_camera_microphone_and_screen_and_nothing_else(browser: AsyncClient) -> None:
    allowed = (await browser.get("/meet/a-room")).headers["permissions-policy"].split(", ")
    assert {"camera=(self)", "microphone=(self)", "display-capture=(self)", "geolocation=()"} <= set(allowed)


async def test_page_talks_to_its_own_server_only(browser: AsyncClient) -> None:
    policy = directives((await browser.get("/meet/a-room")).headers["content-security-policy"])
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://meet.example.com:8080 wss://meet.example.com:8080"
    assert "blob:" in policy["media-src"].split()
    assert policy["frame-ancestors"] == "'none'"


async def test_console_may_use_no_device_and_plays_what_lies_elsewhere(browser: AsyncClient) -> None:
    answer = await browser.get("/console")
    assert (answer.status_code, answer.text) == (200, CONSOLE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert {"camera=()", "microphone=()"} <= set(answer.headers["permissions-policy"].split(", "))
    policy = directives(answer.headers["content-security-policy"])
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["media-src"] == "http: https:"


@pytest.mark.parametrize("accepted", ["*/*", "text/html,*/*;q=0.8", "text/html, application/json"])
async def test_front_page_loads_styles_alone(browser: AsyncClient, accepted: str) -> None:
    answer = await browser.get("/", headers={"accept": accepted})
    assert (answer.status_code, answer.text) == (200, FRONT)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Accept")
    policy = directives(answer.headers["content-security-policy"])
    assert policy["default-src"] == policy["connect-src"] == policy["media-src"] == "'none'"
    assert {"camera=()", "microphone=()"} <= set(answer.headers["permissions-policy"].split(", "))


@pytest.mark.parametrize("accepted", ["application/json", "application/json, text/plain, */*"])
async def test_front_page_is_json_for_a_client_of_the_api(assets: Path, accepted: str) -> None:
    base_url = "https://example.com/video"
    app = Starlette(routes=pages.routes(assets, base_url))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://portico") as client:
        answer = await client.get("/", headers={"accept": accepted})
    assert (answer.status_code, answer.headers["vary"]) == (200, "Accept")
    data = answer.json()["data"]
    assert (data["name"], data["version"]) == ("Portico", __version__)
    assert data["links"]["api"] == f"{base_url}/v2"
    assert data["links"]["openapi"] == f"{base_url}/openapi.json"
    assert all(link.startswith(f"{base_url}/") for link in data["links"].values())


async def test_the_check_may_use_camera_and_microphone_and_talks_to_its_own_server(browser: AsyncClient) -> None:
    answer = await browser.get("/check")
    assert (answer.status_code, answer.text) == (200, CHECK)
    assert answer.headers["cache-control"] == "no-store"
    allowed = set(answer.headers["permissions-policy"].split(", "))
    assert {"camera=(self)", "microphone=(self)", "display-capture=()", "geolocation=()"} <= allowed
    policy = directives(answer.headers["content-security-policy"])
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://meet.example.com:8080 wss://meet.example.com:8080"


@pytest.mark.parametrize("host", ["[::1]:8080", "127.0.0.1", "localhost:1"])
async def test_policy_names_hosts_of_every_form(browser: AsyncClient, host: str) -> None:
    policy = directives((await browser.get("/meet/a-room", headers={"host": host})).headers["content-security-policy"])
    assert policy["connect-src"] == f"'self' ws://{host} wss://{host}"


@pytest.mark.parametrize("host", ["x; script-src *", "x *", "a,b", "x'y", ""])
async def test_forged_host_stays_out_of_the_policy(browser: AsyncClient, host: str) -> None:
    policy = directives((await browser.get("/meet/a-room", headers={"host": host})).headers["content-security-policy"])
    assert policy["connect-src"] == "'self'"
    assert policy["script-src"] == "'self'"


@pytest.mark.parametrize(("name", "kind"), [("meet-Ab3_-9xZ.js", "text/javascript"), ("meet-0123abcd.css", "text/css")])
async def test_hashed_assets_are_kept_for_ever(browser: AsyncClient, name: str, kind: str) -> None:
    answer = await browser.get(f"/assets/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    [
        "meet.html",
        "console.html",
        "front.html",
        "connect.js",
        "meet-00000000.js",
        "..%2Fsecret-01234567.js",
        "%2e%2e/secret-01234567.js",
        ".js",
    ],
)
async def test_nothing_else_is_an_asset(browser: AsyncClient, name: str) -> None:
    assert (await browser.get(f"/assets/{name}")).status_code == 404


async def test_connect_script_is_for_every_origin(browser: AsyncClient) -> None:
    answer = await browser.get("/connect.js", headers={"origin": "https://elsewhere.example"})
    assert (answer.status_code, answer.text) == (200, CONNECT)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["cache-control"] == "public, max-age=300"


async def test_connect_script_is_sent_again_only_when_it_changed(browser: AsyncClient, assets: Path) -> None:
    etag = (await browser.get("/connect.js")).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await browser.get("/connect.js", headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    (assets / "connect.js").write_text("window.Portico = null")
    changed = await browser.get("/connect.js", headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


@pytest.mark.parametrize("path", ["/meet/a-room", "/console", "/check", "/connect.js"])
async def test_without_a_build_the_answer_says_what_to_do(tmp_path: Path, path: str) -> None:
    answer = await client_of(tmp_path / "nothing").get(path)
    assert answer.status_code == 503
    assert "script/setup" in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_pages_answer_head(browser: AsyncClient) -> None:
    assert (await browser.head("/meet/a-room")).status_code == 200
    assert (await browser.head("/console")).status_code == 200
    assert (await browser.head("/connect.js")).status_code == 200
