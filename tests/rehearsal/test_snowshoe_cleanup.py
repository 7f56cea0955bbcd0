"""The snowshoe cleanup on a real host, as an operator runs it: plan, gate, change, proof, and every way to say no."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks.ssh_session import Reader
from deliverability.errors import ReadOnlyViolation
from estates import FILES, INTERFACES, MASTER_CF, PATIENCE, REHAB_CRON, Desk

pytestmark = pytest.mark.rehearsal

STAY = {f"207.174.124.{last}" for last in (71, 72, 94, 107)}
GO = {f"207.174.124.{last}" for last in (*range(90, 94), *range(95, 107), 108, 109)}
TRANSPORTS = {
    "yahooslow",
    *(f"out{number:02d}" for number in range(2, 21) if number != 5),
    *("rehab02", "rehab03", "rehab04", "hcout2", "hcout3"),
}
SECTIONS = ["Summary", "Trigger", "Observed", "Plan", "Decision", "Actions", "Verification", "Undo"]


class TestPlan:
    """`runbook plan` names exactly what goes, and only looks."""

    @pytest.fixture(scope="class")
    @classmethod
    def desk(cls, tmp_path_factory: pytest.TempPathFactory) -> Desk:
        return Desk(tmp_path_factory.mktemp("plan"))

    @pytest.fixture(scope="class")
    @classmethod
    def reader(cls, desk: Desk) -> Iterator[Reader]:
        with desk.connected(desk.host().observe()) as reader:
            yield reader

    def test_text(self, desk: Desk) -> None:
        before, logins = desk.everything(), desk.logins()
        done = desk.run("plan")
        assert (done.returncode, done.stderr) == (2, "")
        assert desk.everything() == before
        assert desk.logins() - logins == 1
        assert "**18 addresses go**" in done.stdout
        for path in FILES:
            assert f"--- {path}\n+++ {path} (planned)\n" in done.stdout

    def test_json(self, desk: Desk) -> None:
        done = desk.run("plan", "--json")
        assert (done.returncode, done.stderr) == (2, "")
        data = json.loads(done.stdout)
        assert data["schema"] == 1
        assert addresses(data["plan"]) == GO
        assert items(data["plan"], "transport") == TRANSPORTS
        assert items(data["plan"], "port") == {"2527", "2528"}
        assert items(data["plan"], "binding") == {f"{address}/24" for address in GO}
        assert {change["path"] for change in data["plan"]["changes"] if change["kind"] == "edit-file"} == set(FILES)
        assert data["digest"] == json.loads(desk.run("plan", "--json").stdout)["digest"]

    def test_it_needs_one_connection_however_far_the_host_is(self, desk: Desk) -> None:
        logins = desk.logins()
        desk.estate.delay("mta", 100)
        try:
            done = desk.run("plan")
        finally:
            desk.estate.undelay("mta")
        assert done.returncode == 2, done.stderr
        assert desk.logins() - logins == 1

    @pytest.mark.parametrize(
        "command",
        [
            "postconf -M x/unix=x",
            "postconf -MX out02/unix",
            "postconf -e a=b",
            "postfix reload",
            "postqueue -f",
            "postsuper -d ALL",
            "ss -K",
            "ss -Hltn -K",
            "find / -delete",
            "sysctl -w a=b",
            "ip addr del 207.174.124.90/24 dev eth0",
            "ip -j addr show up",
            "ip -batch -",
            "systemctl restart postfix",
            "systemctl is-active-not ssh",
            "tee /etc/postfix/main.cf",
            "cp a b",
            "sh -c true",
            "env true",
            "cat /etc/postfix/main.cf",
            "",
        ],
    )
    def test_a_reader_refuses_what_is_not_known_to_be_read_only(self, reader: Reader, command: str) -> None:
        with pytest.raises(ReadOnlyViolation, match="observing mta may not run"):
            reader.run(*command.split(" "))

    def test_a_reader_has_no_way_to_write(self) -> None:
        public = {name for name in dir(Reader) if not name.startswith("_")}
        assert public == {"run", "run_all", "http_get", "local_address"}


class TestWholeRun:
    """Two operators start the cleanup at once; what one of them then has done. Nothing here resets the host."""

    @pytest.fixture(scope="class")
    @classmethod
    def desk(cls, tmp_path_factory: pytest.TempPathFactory) -> Desk:
        return Desk(tmp_path_factory.mktemp("whole"))

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, desk: Desk) -> dict[str, str]:
        return {path: desk.read(path) for path in FILES} | {"modes": modes(desk)}

    @pytest.fixture(scope="class")
    @classmethod
    def ended(cls, desk: Desk, before: dict[str, str]) -> list[subprocess.CompletedProcess[str]]:
        """The two, by exit code."""
        with desk.start("run", "--unattended") as one, desk.start("run", "--unattended") as other:
            both = [(*popen.communicate(timeout=PATIENCE), popen.returncode) for popen in (one, other)]
        done = [subprocess.CompletedProcess([], code, out, err) for out, err, code in both]
        return sorted(done, key=lambda ended: ended.returncode)

    @pytest.fixture(scope="class")
    @classmethod
    def record(cls, desk: Desk, ended: list[subprocess.CompletedProcess[str]]) -> dict[str, Any]:
        # The other one waits for its turn, and then its approval is void; or it comes too late for that, and is held.
        assert ended[0].returncode == 0, ended[0].stderr
        assert ended[1].returncode in (3, 75), ended[1].stderr
        (record,) = (record for record in desk.reports() if record["exit_code"] == 0)
        return record

    def test_one_succeeds_and_the_other_is_told_why_it_changes_nothing(
        self, desk: Desk, ended: list[subprocess.CompletedProcess[str]], record: dict[str, Any]
    ) -> None:
        winner, loser = ended
        assert "done: 18 addresses" in winner.stdout
        (other,) = (other for other in desk.reports() if other["run"] != record["run"])
        if loser.returncode == 75:
            assert record["run"] in other["summary"]
            assert "next: wait" in loser.stderr
        else:
            assert "the estate changed since the approval" in other["summary"]

    @pytest.mark.parametrize(
        ("port", "peer", "helo"),
        [
            (25, "207.174.124.94", "mta05.performancewest.net"),
            (2526, "207.174.124.107", "hcmta01.performancewest.net"),
        ],
    )
    def test_mail_of_each_stream_arrives(
        self, desk: Desk, record: dict[str, Any], port: int, peer: str, helo: str
    ) -> None:
        assert desk.mail(port) == (peer, helo)

    def test_ports_of_what_went_are_closed_inside_and_outside(self, desk: Desk, record: dict[str, Any]) -> None:
        assert {port.rpartition(":")[2] for port in desk.ports()} >= {"25", "2526"}
        assert not {port for port in desk.ports() if port.endswith((":2527", ":2528"))}
        found = {port: desk.is_open("207.174.124.71", port) for port in (25, 2526, 2527, 2528)}
        assert found == {25: True, 2526: True, 2527: False, 2528: False}

    def test_addresses_are_gone_live_and_in_the_file(self, desk: Desk, record: dict[str, Any]) -> None:
        assert desk.live() == STAY
        text = "\n".join(line for line in desk.read(INTERFACES).splitlines() if not line.lstrip().startswith("#"))
        assert {address for address in STAY | GO if address in text} == STAY

    def test_master_cf_is_what_postconf_would_have_made(
        self, desk: Desk, before: dict[str, str], record: dict[str, Any]
    ) -> None:
        desk.shell("rm -rf /root/check && cp -r /etc/postfix /root/check")
        desk.write("/root/check/master.cf", before[MASTER_CF])
        services = [*(f"{name}/unix" for name in sorted(TRANSPORTS)), "2527/inet", "2528/inet"]
        desk.shell(f"postconf -c /root/check -MX {' '.join(services)}")
        assert desk.read(MASTER_CF) == desk.read("/root/check/master.cf")
        desk.shell("rm -rf /root/check")

    @pytest.mark.parametrize("path", FILES)
    def test_lines_only_go_and_comments_stay(
        self, desk: Desk, before: dict[str, str], record: dict[str, Any], path: str
    ) -> None:
        was, now = before[path].split("\n"), desk.read(path).split("\n")
        if path == REHAB_CRON:
            assert [line.removeprefix("# disabled by snowshoe-cleanup: ") for line in now] == was
            assert all(not line or line.startswith(("#", "SHELL", "PATH", "MAILTO")) for line in now)
            return
        assert is_subsequence(now, was)
        assert [line for line in now if line.lstrip().startswith("#")] == [
            line for line in was if line.lstrip().startswith("#")
        ]
        assert len(now) < len(was)

    def test_parameters_of_what_went_are_gone_and_others_stay(self, desk: Desk, record: dict[str, Any]) -> None:
        found = desk.shell("postconf -n | sed -n 's/ =.*//p' | grep _destination_").split()
        assert set(found) == {
            "default_destination_concurrency_limit",
            "hcout1_destination_concurrency_limit",
            "out05_destination_concurrency_limit",
            "out05_destination_recipient_limit",
        }
        assert desk.shell("postfix check 2>&1") == ""

    def test_backups_are_the_originals(self, desk: Desk, before: dict[str, str], record: dict[str, Any]) -> None:
        for path in FILES:
            backup = f"/root/{Path(path).name}.bak_snowshoe_{record['run']}"
            assert desk.read(backup) == before[path]
            assert f"cp -p {backup} {path}" in record["undo"]
        assert modes(desk) == before["modes"]

    def test_the_guard_is_disarmed_and_its_journal_complete(self, desk: Desk, record: dict[str, Any]) -> None:
        assert desk.guard("state").startswith("disarmed ")
        assert desk.shell("ls /etc/systemd/system | grep -c deliverability-guard || true") == "0\n"
        assert desk.substance()["units"] == ""
        assert desk.guard("run").strip() == record["run"]
        journal = desk.journal()
        changes = record["plan"]["changes"]
        expected = [(event, number) for number in range(1, len(changes) + 1) for event in ("before", "after")]
        assert [(entry["event"], entry["number"]) for entry in journal] == expected
        assert [entry["change"] for entry in journal[::2]] == [change["kind"] for change in changes]

    def test_the_report_has_the_evidence(self, desk: Desk, record: dict[str, Any]) -> None:
        markdown = (desk.var / "reports" / "snowshoe-cleanup" / f"{record['run']}.md").read_text()
        assert [line[3:] for line in markdown.splitlines() if line in {f"## {name}" for name in SECTIONS}] == SECTIONS
        assert "**No person decided this**" in markdown
        assert (record["schema"], record["status"], record["exit_code"]) == (1, "done", 0)
        assert record["decision"]["via"] == "unattended"
        assert record["decision"]["digest"] in markdown
        assert addresses(record["plan"]) == GO
        assert {finding["verdict"] for finding in record["findings"]} == {"ok", "not applicable"}
        assert all(finding["at"] for finding in record["findings"])
        arrived = [finding for finding in record["findings"] if finding["where"].startswith("receiver ")]
        assert {finding["observed"] for finding in arrived} == {
            "from 207.174.124.94, HELO mta05.performancewest.net",
            "from 207.174.124.107, HELO hcmta01.performancewest.net",
        }

    def test_snapshots_hold_both_states(self, desk: Desk, before: dict[str, str], record: dict[str, Any]) -> None:
        def shown(commit: str, path: str) -> str:
            return git(desk, "show", f"{commit}:mta{path}")

        for path in FILES:
            assert shown("HEAD~1", path) == before[path]
            assert shown("HEAD", path) == desk.read(path)
        assert git(desk, "log", "--format=%s").splitlines() == [
            f"snowshoe-cleanup {record['run']}",
            f"before: snowshoe-cleanup {record['run']}",
        ]

    def test_again_there_is_nothing_to_do(self, desk: Desk, record: dict[str, Any]) -> None:
        before = desk.everything()
        plan = desk.run("plan")
        assert (plan.returncode, plan.stderr) == (0, "")
        assert "**Nothing to do**" in plan.stdout
        run = desk.run("run", "--unattended")
        assert run.returncode == 0
        assert run.stdout.startswith("nothing to do: ")
        assert desk.reports()[-1]["status"] == "nothing to do"
        assert desk.everything() == before

    def test_it_lasts_through_a_reboot(self, desk: Desk, record: dict[str, Any]) -> None:
        desk.mta.restart()
        assert desk.live() == STAY
        assert desk.shell("systemctl --failed --no-legend") == ""
        assert not {port for port in desk.ports() if port.endswith((":2527", ":2528"))}
        desk.assert_both_streams_flow()


def addresses(plan: dict[str, Any]) -> set[str]:
    return {change["address"] for change in plan["changes"] if change["kind"] == "remove-address"}


def items(plan: dict[str, Any], word: str) -> set[str]:
    """The second word of every item that begins with this word."""
    lines = [item.split() for change in plan["changes"] for item in change.get("items", [])]
    return {words[1] for words in lines if words[0] == word}


def modes(desk: Desk) -> str:
    return desk.shell(f"stat -c '%n %a %U:%G' {' '.join(FILES)}")


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(line in rest for line in part)


def git(desk: Desk, *arguments: str) -> str:
    command = ["git", "-C", str(desk.var / "snapshots" / "rehearsal"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
