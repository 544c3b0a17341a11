"""Internal addresses: every special block of both registries, their edges, and IPv4 in IPv6's clothes."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.addresses import is_internal, is_metadata

BLOCKS = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
    "::/8",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
INTERNAL = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "255.255.255.255",
    "169.254.169.254",  # most clouds' metadata
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::FFFF:7F00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:20::1",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::1%1",
    "::1%lo",
    "::ffff:127.0.0.1%lo",
    "fc00::1",
    "ff02::1",
]
NOT_ADDRESSES = [
    "",
    "localhost",
    "example.com",
    "2130706433",
    "0x7f.1",
    "127.1",
    "010.0.0.1",
    "8.8.8.8 ",
    "[::1]",
    "8.8.8.8:80",
    "١.1.1.1",
]
EXTERNAL = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "168.63.129.17",
    "::ffff:8.8.8.8",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "2003::1",
    "3ffe:ffff::1",
]


@pytest.mark.parametrize("address", INTERNAL)
def test_internal(address: str) -> None:
    assert is_internal(address)


@given(st.ip_addresses(network="169.254.0.0/16"))
def test_link_local_is_metadata_in_all_forms(address: IPv4Address) -> None:
    last = f"{int(address) >> 16:x}:{int(address) & 0xFFFF:x}"
    forms = [str(address), f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}", f"2002:{last}::", "fe80::1%eth0"]
    assert all(is_metadata(each) and is_internal(each) for each in forms)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "8.8.8.8", "fc00::1", "localhost"])
def test_what_is_merely_internal_is_no_metadata(address: str) -> None:
    assert not is_metadata(address)


@pytest.mark.parametrize("address", EXTERNAL)
def test_external(address: str) -> None:
    assert not is_internal(address)


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_what_is_not_an_address_counts_as_internal(text: str) -> None:
    assert is_internal(text)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_is_internal_from_its_first_to_its_last_address(block: str) -> None:
    network = ip_network(block)
    assert is_internal(network[0]) and is_internal(network[-1])


@given(st.ip_addresses(v=4))
def test_ipv4_is_judged_alike_in_all_forms(address: IPv4Address) -> None:
    judged = is_internal(address)
    assert is_internal(str(address)) == judged
    assert is_internal(IPv6Address(f"::ffff:{address}")) == judged
    assert is_internal(f"::ffff:{address}%eth0") == judged
    assert is_internal(f"64:ff9b::{address}")
    assert is_internal(f"::{address}")


@given(st.sampled_from(BLOCKS).flatmap(lambda block: st.ip_addresses(network=block)))
def test_nothing_in_a_block_is_external(address: IPv4Address | IPv6Address) -> None:
    assert is_internal(address) or _mapped(address)


def _mapped(address: IPv4Address | IPv6Address) -> bool:
    """::/8 holds the mapped addresses, which are judged as IPv4."""
    return isinstance(address, IPv6Address) and address.ipv4_mapped is not None


@given(st.ip_addresses(v=4))
def test_what_python_calls_not_global_is_internal(address: IPv4Address) -> None:
    assert address.is_global or is_internal(address)


@given(st.ip_addresses(v=6))
def test_the_same_for_ipv6(address: IPv6Address) -> None:
    assert address.is_global or is_internal(address)
