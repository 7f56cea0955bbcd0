"""The rehearsal estate is what the runbook says of the real one before 2026-06-23."""

import json
import re
import time

import estate_probes as probes
import pytest

from rehearsal import Estate

pytestmark = pytest.mark.rehearsal

REMOVED_LATER = (
    ["yahooslow/unix", "2527/inet", "2528/inet", "hcout2/unix", "hcout3/unix"]
    + [f"out{number:02d}/unix" for number in range(2, 21) if number != 5]
    + [f"rehab{number:02d}/unix" for number in range(2, 5)]
)


def test_all_addresses_are_live_and_71_is_primary(estate: Estate) -> None:
    found = probes.addresses(estate.host("mta"))
    assert {address["local"] for address in found} == {f"207.174.124.{last}" for last in probes.KEPT | probes.DORMANT}
    assert len(found) == 22
    assert {address["prefixlen"] for address in found} == {24}
    assert [address["local"] for address in found if not address.get("secondary")] == ["207.174.124.71"]


def test_no_address_is_tentative(estate: Estate) -> None:
    assert "tentative" not in estate.host("mta").run(["ip", "addr"]).stdout


def test_71_is_the_default_source(estate: Estate) -> None:
    route = json.loads(estate.host("mta").run(["ip", "-j", "route", "get", "8.8.8.8"]).stdout)
    assert route[0]["prefsrc"] == "207.174.124.71"


def test_init_is_systemd_and_no_unit_failed(estate: Estate) -> None:
    mta = estate.host("mta")
    assert mta.run(["ps", "-o", "comm=", "-p", "1"]).stdout.strip() == "systemd"
    assert mta.run(["hostname"]).stdout.strip() == "perfwest"
    units = ["networking", "ssh", "postfix@-", "opendkim", "rsyslog", "cron"]
    assert mta.run(["systemctl", "is-active", *units]).stdout.split() == ["active"] * len(units)
    assert mta.run(["systemctl", "--failed", "--no-legend"]).stdout == ""


def test_postfix_accepts_its_configuration(estate: Estate) -> None:
    check = estate.host("mta").run(["postfix", "check"])
    assert (check.returncode, check.stderr) == (0, "")


def test_all_services_of_the_runbook_are_in_master_cf(estate: Estate) -> None:
    listing = estate.host("mta").run(["postconf", "-M"]).stdout
    services = {"/".join(line.split()[:2]) for line in listing.splitlines()}
    assert len(REMOVED_LATER) == 26
    assert {*REMOVED_LATER, "out05/unix", "hcout1/unix", "2526/inet", "smtp/inet"} <= services


def test_every_dormant_address_is_bound_by_a_transport_with_its_own_name(estate: Estate) -> None:
    listing = estate.host("mta").run(["postconf", "-P"]).stdout
    binds = dict(re.findall(r"^(\w+)/unix/smtp_bind_address = 207\.174\.124\.(\d+)$", listing, re.MULTILINE))
    helos = dict(re.findall(r"^(\w+)/unix/smtp_helo_name = (\w+)\.performancewest\.net$", listing, re.MULTILINE))
    logs = dict(re.findall(r"^(\w+)/unix/syslog_name = postfix/(\w+)$", listing, re.MULTILINE))
    assert {int(last) for last in binds.values()} == (probes.KEPT | probes.DORMANT) - {71, 72}
    for transport, last in binds.items():
        name = f"hcmta{int(last) - 106:02d}" if int(last) >= 107 else f"mta{int(last) - 89:02d}"
        assert (transport, helos[transport], logs[transport]) == (transport, name, transport)


def test_configuration_files_have_the_marks_of_age(estate: Estate) -> None:
    mta = estate.host("mta")
    master = mta.run(["cat", "/etc/postfix/master.cf"]).stdout
    assert re.search(r"\n\s+-o .*\n#.*\n\s+-o ", master), "a comment between continuation lines"
    assert "-o {" in master
    assert "\n\t-o " in master
    assert "\r" not in master
    interfaces = mta.run(["cat", "/etc/network/interfaces"]).stdout
    for style in ("post-up ", "iface eth0:3 inet static", "netmask ", "#   up "):
        assert style in interfaces
    assert interfaces.count("iface eth0 inet static") == 2


def test_the_dkim_key_in_dns_is_the_one_the_mta_signs_with(estate: Estate) -> None:
    mta = estate.host("mta")
    signing = "/etc/opendkim/keys/send.performancewest.net/send.private"
    mta.run(["openssl", "genrsa", "-out", "/root/other.private", "2048"])
    test = ["opendkim-testkey", "-d", "send.performancewest.net", "-s", "send", "-k"]
    assert mta.run([*test, signing]).returncode == 0
    assert mta.run([*test, "/root/other.private"]).returncode == 65


RESOLVERS = ["8.8.8.8", "1.1.1.1", "9.9.9.9"]
SLAVES = ["216.218.130.2", "216.218.131.2", "216.218.132.2", "216.66.1.2", "216.66.80.18"]
MASTER_AND_SLAVES = ["207.174.124.22", *SLAVES]
OTHERS = ["198.41.0.4"]


@pytest.mark.parametrize(
    ("authoritative", "name", "kind", "answer"),
    [
        (MASTER_AND_SLAVES, "send.performancewest.net", "TXT", '"v=spf1 ip4:207.174.124.94 ip4:207.174.124.107 -all"'),
        (MASTER_AND_SLAVES, "performancewest.net", "MX", "10 co.carrierone.com."),
        (MASTER_AND_SLAVES, "mta17.performancewest.net", "A", "207.174.124.106"),
        (MASTER_AND_SLAVES, "co.carrierone.com", "A", "207.174.124.15"),
        (OTHERS, "ns5.he.net", "A", SLAVES[4]),
        (OTHERS, "109.124.174.207.in-addr.arpa", "PTR", "hcmta03.performancewest.net."),
        (OTHERS, "contoso.com", "MX", "0 contoso-com.mail.protection.outlook.com."),
    ],
)
def test_dns_answers(estate: Estate, authoritative: list[str], name: str, kind: str, answer: str) -> None:
    for server in (*authoritative, *RESOLVERS):
        dig = estate.host("mta").run(["dig", "+short", "+time=2", "+tries=1", f"@{server}", name, kind])
        assert answer in dig.stdout.splitlines(), server


def test_a_name_outside_this_world_does_not_exist_at_once(estate: Estate) -> None:
    began = time.monotonic()
    dig = estate.host("mta").run(["dig", "+time=5", "+tries=1", "nowhere.test", "A"])
    assert "status: NXDOMAIN" in dig.stdout
    assert time.monotonic() - began < 1
