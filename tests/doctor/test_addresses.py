"""Interfaces, the public name and what Janus offers; and STUN."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest

from portico.doctor import addresses
from portico.doctor.addresses import AddressFacts, judge, own_addresses, public_host
from portico.runtime.interfaces import InterfaceAddress, interface_addresses
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels

INSIDE = InterfaceAddress("eth0", ip_address("10.0.0.5"))
OUTSIDE = InterfaceAddress("eth0", ip_address("5.9.0.1"))
NAME = "video.example.com"


def facts(*own: InterfaceAddress, media: str = "", resolved: str = "", **more: Any) -> AddressFacts:
    offered, found = ([ip_address(each) for each in text.split()] for text in (media, resolved))
    return AddressFacts(own, **{"media": offered, "resolved": found, "name": NAME} | more)


@pytest.mark.parametrize(
    ("given", "expected", "word"),
    [
        (facts(OUTSIDE, resolved="5.9.0.1"), ["ok", "ok"], "which Janus offers"),
        (facts(INSIDE, media="5.9.0.1", resolved="5.9.0.1"), ["ok", "ok"], "which Janus offers"),
        (facts(INSIDE, resolved="5.9.0.1"), ["ok", "problem"], "offers only 10.0.0.5"),
        (facts(INSIDE, resolved="10.0.0.5"), ["ok", "ok"], "10.0.0.5"),
        (facts(OUTSIDE, resolved="5.9.0.9"), ["ok", "note"], "Janus offers 5.9.0.1"),
        (facts(OUTSIDE, resolved="5.9.0.1 2a01:4f8::1"), ["ok", "note"], "2a01:4f8::1"),
        (facts(OUTSIDE), ["ok", "problem"], "cannot be resolved"),
        (facts(OUTSIDE, why_not_resolved="no such name"), ["ok", "problem"], "no such name"),
        (facts(resolved="5.9.0.1"), ["problem", "note"], "No network interface"),
        (facts(name=None), ["warning"], "No network interface"),
        (facts(OUTSIDE, name=None), ["ok"], "eth0 has 5.9.0.1"),
        (facts(INSIDE, name=None), ["ok", "note"], "this network only"),
        (facts(INSIDE, media="5.9.0.1", name=None), ["ok"], "10.0.0.5"),
    ],
)
def test_what_browsers_are_offered_is_compared_with_the_public_name(
    given: AddressFacts, expected: list[str], word: str
) -> None:
    found = judge(given)
    assert levels(found) == expected
    assert any(word in each.text for each in found)


def test_a_machine_behind_nat_is_given_the_setting_that_helps() -> None:
    assert "PORTICO_MEDIA_ADDRESS=5.9.0.1" in judge(facts(INSIDE, resolved="5.9.0.1"))[1].remedy


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:8080", None),
        ("http://localhost:8080", None),
        ("https://a.localhost", None),
        ("http://[::1]:8080", None),
        ("https://video.example.com/video", "video.example.com"),
        ("http://192.0.2.2:8080", "192.0.2.2"),
    ],
)
def test_a_loopback_url_has_no_public_host(url: str, host: str | None) -> None:
    assert public_host(url) == host


def test_the_addresses_of_this_machine_are_those_that_sockets_may_have() -> None:
    found = interface_addresses()
    assert InterfaceAddress("lo", ip_address("127.0.0.1")) in found
    for each in found:
        family = socket.AF_INET if each.address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as bound:
            bound.bind((str(each.address), 0))


def test_the_media_interface_chooses_among_them() -> None:
    assert {each.interface for each in own_addresses("lo")} == {"lo"}
    assert own_addresses("127.0.0.1") == [InterfaceAddress("lo", ip_address("127.0.0.1"))]
    assert own_addresses("eth99") == []
    assert not any(each.address.is_loopback for each in own_addresses(None))


async def test_a_name_that_does_not_exist_is_a_problem(subject: MakeSubject) -> None:
    found = await addresses.check(subject(public_url="https://nothing.invalid"))
    assert "problem" in levels(found)
    assert any("nothing.invalid cannot be resolved" in each.text for each in found)
