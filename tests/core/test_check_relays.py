"""Which TURN servers a connection check tries."""

from portico.core.check_relays import by_path


def test_the_first_url_of_each_path_is_tried_with_the_credentials_of_its_server() -> None:
    ours: dict[str, object] = {
        "urls": ["turn:a:3478?transport=udp", "turn:a:3478?transport=tcp"],
        "username": "u",
        "credential": "c",
    }
    others: list[dict[str, object]] = [
        {"urls": ["stun:s:3478"]},
        ours,
        {"urls": ["turns:b:5349?transport=tcp", "turn:b"]},
    ]
    assert by_path(others) == {
        "udp": {**ours, "urls": ["turn:a:3478?transport=udp"]},
        "tcp": {**ours, "urls": ["turn:a:3478?transport=tcp"]},
        "tls": {"urls": ["turns:b:5349?transport=tcp"]},
    }


def test_a_url_without_transport_is_udp_and_a_stun_server_no_relay() -> None:
    assert by_path([{"urls": ["stun:s"]}, {"urls": ["turn:a"]}]) == {"udp": {"urls": ["turn:a"]}}
    assert by_path([]) == {}
