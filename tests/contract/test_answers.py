"""The checks of answers find what they are there to find."""

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from tests.contract.answers import Checked

HEADERS = {
    "x-request-id": "x",
    "access-control-allow-origin": "*",
    "x-ratelimit-limit": "1",
    "x-ratelimit-remaining": "1",
    "x-ratelimit-reset": "1",
}
EMPTY = {"data": [], "meta": {"total_pages": 0, "total_results": 0, "page_number": 1, "page_size": 20}}


def without(name: str) -> dict[str, str]:
    return {header: value for header, value in HEADERS.items() if header != name}


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        (JSONResponse(EMPTY, headers=HEADERS), True),
        (JSONResponse({"data": [{}], "meta": EMPTY["meta"]}, headers=HEADERS), False),
        (JSONResponse(EMPTY, 201, headers=HEADERS), False),
        (JSONResponse({"errors": []}, 418, headers=HEADERS), False),
        (Response("[]", media_type="text/plain", headers=HEADERS), False),
        (JSONResponse(EMPTY, headers=without("x-request-id")), False),
        (JSONResponse(EMPTY, headers=without("x-ratelimit-reset")), False),
        (JSONResponse(EMPTY, headers=HEADERS | {"x-ratelimit-remaining": "2"}), False),
    ],
)
async def test_what_is_wrong_with_an_answer_is_noted(answer: Response, is_right: bool) -> None:
    checked = Checked(answer)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(checked), base_url="http://portico") as client:
        await client.get("/v2/rooms")
    assert checked.answers == 1
    assert (checked.faults == []) is is_right
