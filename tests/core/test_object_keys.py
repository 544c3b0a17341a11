"""Names of files in the store: made and read back, and nothing else passes for one."""

import pytest

from portico.core import object_keys

SESSION = "7b61621f-62e0-4aad-ab11-9fd19e272e73"
ROW = "1ccc7b54-4df3-4bca-a65a-35a1ecc777f0"


def test_a_key_has_the_id_of_its_recording_or_composition() -> None:
    recording, composition = object_keys.recording_key(SESSION, ROW, "ogg"), object_keys.composition_key(ROW)
    assert (recording, composition) == (f"recordings/{SESSION}/{ROW}.ogg", f"compositions/{ROW}.mp4")
    assert (object_keys.recording_of(recording), object_keys.composition_of(recording)) == (ROW, None)
    assert (object_keys.recording_of(composition), object_keys.composition_of(composition)) == (None, ROW)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "recordings",
        f"recordings/{SESSION}/{ROW}",
        f"recordings/{SESSION}/{ROW}.exe",
        f"recordings/{SESSION}/{ROW}.ogg\n",
        f"recordings/{SESSION}/../{ROW}.ogg",
        f"/recordings/{SESSION}/{ROW}.ogg",
        f"recordings/{SESSION}/{ROW.upper()}.ogg",
        f"compositions/{ROW}.webm",
        f"compositions/../compositions/{ROW}.mp4",
    ],
)
def test_nothing_else_is_a_key(key: str) -> None:
    assert object_keys.recording_of(key) is None and object_keys.composition_of(key) is None


@pytest.mark.parametrize(
    ("key", "kind"),
    [("a.ogg", "audio/ogg"), ("a.webm", "video/webm"), ("a.mp4", "video/mp4"), ("a.html", "application/octet-stream")],
)
def test_the_extension_gives_the_media_type(key: str, kind: str) -> None:
    assert object_keys.content_type(key) == kind
