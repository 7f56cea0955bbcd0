"""Live addresses, routes and listeners: output of iproute2 6.1.0, shortened, and hostile shapes."""

import json

import pytest

from deliverability.errors import MalformedFile
from deliverability.network import addresses

LINKS = [
    {
        "ifname": "lo",
        "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host", "label": "lo"}],
    },
    {},
    {
        "ifname": "eth0",
        "addr_info": [
            {"family": "inet", "local": "207.174.124.71", "prefixlen": 24, "scope": "global", "label": "eth0"},
            {"family": "inet", "local": "10.1.0.1", "prefixlen": 32, "scope": "global", "label": "eth0"},
            {
                "family": "inet",
                "local": "207.174.124.90",
                "prefixlen": 24,
                "broadcast": "207.174.124.255",
                "scope": "global",
                "secondary": True,
                "label": "eth0:3",
            },
            {
                "family": "inet",
                "local": "207.174.124.94",
                "prefixlen": 25,
                "scope": "global",
                "secondary": True,
                "label": "eth0",
            },
            {
                "family": "inet6",
                "local": "fe80::eca0:a8ff:fe41:2c2",
                "prefixlen": 64,
                "scope": "link",
                "tentative": True,
            },
        ],
    },
]
ROUTES = (
    '[{"dst":"default","gateway":"207.174.124.1","dev":"eth0","prefsrc":"207.174.124.71","flags":[]},{"dst":"203.0.113.0/24",'
    '"flags":[],"nexthops":[{"gateway":"207.174.124.2","dev":"eth0","weight":1,"flags":[]},{"gateway":"207.174.124.3","dev":'
    '"eth1","weight":1,"flags":[]}]},{"dst":"207.174.124.0/24","dev":"eth0","protocol":"kernel","scope":"link","prefsrc":'
    '"207.174.124.71","metric":100,"flags":[]}]'
)


def names(live: tuple[addresses.LiveAddress, ...]) -> list[str]:
    return [entry.address for entry in live]


@pytest.mark.parametrize("given", [LINKS, json.dumps(LINKS)])
def test_addresses(given: list[object] | str) -> None:
    live = addresses.parse_addresses(given)
    assert len(live) == 6
    assert live[3] == addresses.LiveAddress("eth0", "207.174.124.90", 24, "eth0:3", "global", True, "207.174.124.255")
    assert live[1].secondary is False
    assert live[5] == addresses.LiveAddress("eth0", "fe80::eca0:a8ff:fe41:2c2", 64, "eth0", "link", False)


def test_deleting_a_primary_takes_the_secondaries_of_its_subnet() -> None:
    live = addresses.parse_addresses(LINKS)
    assert names(addresses.takes_with_it("207.174.124.71", live, promote_secondaries=False)) == ["207.174.124.90"]
    assert addresses.takes_with_it("207.174.124.71", live, promote_secondaries=True) == ()


@pytest.mark.parametrize("address", ["207.174.124.90", "10.1.0.1", "127.0.0.1", "fe80::eca0:a8ff:fe41:2c2"])
def test_other_addresses_go_alone(address: str) -> None:
    assert addresses.takes_with_it(address, addresses.parse_addresses(LINKS), promote_secondaries=False) == ()


def test_an_address_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"no interface has 192\.0\.2\.1"):
        addresses.takes_with_it("192.0.2.1", addresses.parse_addresses(LINKS), promote_secondaries=False)


def test_routes() -> None:
    default, first, second, connected = addresses.parse_routes(ROUTES)
    assert default == addresses.Route("default", "eth0", "207.174.124.1", "207.174.124.71")
    assert (first.gateway, second.gateway, second.device) == ("207.174.124.2", "207.174.124.3", "eth1")
    assert connected == addresses.Route("207.174.124.0/24", "eth0", None, "207.174.124.71", 100, "kernel", "link")


def test_an_empty_answer() -> None:
    assert addresses.parse_addresses("") == addresses.parse_addresses([]) == ()
    assert addresses.parse_routes("[]") == ()
    assert addresses.parse_listeners("") == frozenset()


@pytest.mark.parametrize(
    "given",
    [
        "{}",
        "[1]",
        "[",
        "[" * 100_000,
        '[{"ifname":"eth0","addr_info":[{"family":"inet"}]}]',
        '[{"ifname":"eth0","addr_info":[{"family":"inet","local":"x","prefixlen":24,"scope":"global"}]}]',
        '[{"addr_info":[{"family":"inet","local":"192.0.2.1","prefixlen":24,"scope":"global"}]}]',
        '[{"ifname":"eth0","addr_info":["x"]}]',
    ],
)
def test_no_addresses(given: str) -> None:
    with pytest.raises(MalformedFile):
        addresses.parse_addresses(given)


@pytest.mark.parametrize("given", ["null", '[{"dev":"eth0"}]', '[{"dst":"default","metric":"x"}]', "[[]]"])
def test_no_routes(given: str) -> None:
    with pytest.raises(MalformedFile):
        addresses.parse_routes(given)


def test_listeners() -> None:
    text = (
        "LISTEN 0      100    0.0.0.0:25 0.0.0.0:*          \n"
        "LISTEN 0      100       [::]:25    [::]:*          \n"
        "LISTEN 0 4096 127.0.0.53%lo:53 0.0.0.0:*\n"
        "LISTEN 0 128 [fe80::1]%eth0:22 [::]:*\n"
        "LISTEN 0 128 *:8080 *:*\n\n"
    )
    assert addresses.parse_listeners(text) == {
        ("0.0.0.0", 25),
        ("::", 25),
        ("127.0.0.53", 53),
        ("fe80::1", 22),
        ("*", 8080),
    }


@pytest.mark.parametrize(
    "line", ["State Recv-Q", "ESTAB 0 0 192.0.2.1:22 192.0.2.2:9", "LISTEN 0 1 192.0.2.1:99999 *:*"]
)
def test_no_listener(line: str) -> None:
    with pytest.raises(MalformedFile):
        addresses.parse_listeners(line)
