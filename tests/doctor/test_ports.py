"""Ports: tried from another address of this machine, and through the public URL."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from ipaddress import ip_address

import pytest

from portico.doctor import ports
from portico.doctor.ports import ask_public, does_packet_arrive, judge_public, judge_tcp, judge_udp, why_no_connection
from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels
from tests.receiver import Receiver, status
from tests.servers import kept_port

HERE, THERE = ip_address("127.0.0.1"), ip_address("5.9.0.1")
RANGE = (21000, 21100)
DROPPED = """
import asyncio, json
from ipaddress import ip_address
from portico.doctor.ports import does_packet_arrive
here = ip_address("127.0.0.1")
print(json.dumps([asyncio.run(does_packet_arrive(here, (low, low + 100), is_own=True)) for low in (21000, 22000)]))
"""


async def test_a_listening_port_answers_from_another_address_and_a_closed_one_does_not() -> None:
    with socket.create_server(("127.0.0.2", 0)) as listening:
        assert await why_no_connection(ip_address("127.0.0.2"), listening.getsockname()[1]) is None
    with kept_port() as kept:
        assert await why_no_connection(HERE, kept.getsockname()[1]) == "connection refused"


async def test_a_packet_to_a_free_port_arrives_and_a_full_range_is_not_tried() -> None:
    assert await does_packet_arrive(HERE, RANGE, is_own=True) is True
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert await does_packet_arrive(HERE, (port, port), is_own=True) is None


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("nft") is None or shutil.which("ip") is None,
    reason="needs root for a network namespace with a packet filter of its own",
)
def test_a_packet_filter_of_this_machine_is_found_out() -> None:
    """In a network namespace whose filter drops one range and passes the other."""
    rules = "add table inet t; add chain inet t in { type filter hook input priority 0; }; "
    rules += "add rule inet t in udp dport 21000-21100 drop"
    steps = f"ip link set lo up && nft '{rules}' && exec {sys.executable} -c '{DROPPED}'"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", steps],
        capture_output=True,
        text=True,
        timeout=ANSWERS_WITHIN_SECS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [False, True]


def test_no_more_is_stated_about_udp_than_was_found_out() -> None:
    assert levels(judge_udp(RANGE, {HERE: True}, [HERE])) == ["ok"]
    dropped = judge_udp(RANGE, {HERE: False}, [HERE])
    assert levels(dropped) == ["problem"]
    assert "UDP 21000-21100" in dropped[0].remedy
    proven, unproven = judge_udp(RANGE, {THERE: True}, [HERE]), judge_udp(RANGE, {THERE: False}, [HERE])
    assert levels(proven) == ["ok"]
    assert levels(unproven) == ["note"], "many routers do not lead back in"
    assert judge_udp(RANGE, {HERE: None}, [HERE]) == []


def test_a_port_that_does_not_answer_is_a_problem() -> None:
    assert levels(judge_tcp(8080, {HERE: None, THERE: "connection refused"})) == ["problem", "ok"]


async def test_the_public_url_leads_to_portico_or_to_another_program() -> None:
    ours, other = status(200, b'{"status":"ok"}'), status(404, b"nothing")
    async with Receiver(otherwise=ours, path="") as portico, Receiver(otherwise=other, path="") as third:
        assert (await ask_public(portico.url)).kind == "portico"
        assert (await ask_public(third.url)).kind == "other"
    with kept_port() as kept:
        silent = await ask_public(f"https://127.0.0.1:{kept.getsockname()[1]}")
    assert (silent.kind, silent.reason) == ("none", "connection refused")


def test_a_public_url_that_does_not_answer_from_here_proves_nothing() -> None:
    url = "https://video.example.com"
    for kind, is_running, level in [
        ("portico", True, "ok"),
        ("other", True, "problem"),
        ("none", True, "warning"),
        ("none", False, "note"),
    ]:
        found = judge_public(url, ports.PublicAnswer(kind, "timed out"), is_running=is_running)
        assert levels([found]) == [level]
    assert f"{url}/check" in judge_public(url, ports.PublicAnswer("none", "timed out"), is_running=True).remedy


async def test_a_server_for_this_machine_alone_is_noted(subject: MakeSubject) -> None:
    found = await ports.check(subject(media_interface="lo", rtp_ports="21000-21100"))
    assert levels(found)[:2] == ["note", "ok"]
    assert "127.0.0.1 only" in found[0].text


async def test_what_only_another_device_can_show_is_left_to_it(subject: MakeSubject) -> None:
    with kept_port() as kept:
        url = f"https://nothing.invalid:{kept.getsockname()[1]}/video"
        found = await ports.check(subject(public_url=url, media_interface="lo", host="::"))
    assert found[-1].level == "note"
    assert "UDP 20000-40000" in found[-1].text and f"{url}/check" in found[-1].remedy
    assert "problem" not in levels(found)


async def test_checks_of_ports_end_in_time() -> None:
    async with asyncio.timeout(ANSWERS_WITHIN_SECS):
        assert await does_packet_arrive(THERE, RANGE, is_own=True) is None, "it is no address of this machine"
