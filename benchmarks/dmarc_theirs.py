"""parsedmarc over the same mails, in its own virtual environment. Started by dmarc.py, in a process of its own each."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import parsedmarc

from benchmarks import child


def reports(mails: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    config = parsedmarc.ParserConfig(offline=True)
    for raw in mails:
        yield parsedmarc.parse_report_email(raw, config=config)["report"]


def parse(mails: Iterator[bytes]) -> int:
    return sum(len(report["records"]) for report in reports(mails))


def store(mails: Iterator[bytes], file: str) -> int:
    """The same rows in the same tables as ours, in one transaction for each report, by the fastest way there is.

    Its own outputs are slower: PostgreSQL row by row, Elasticsearch over HTTP, and a JSON file that is written anew for
    each report.
    """
    records = 0
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
    for number, report in enumerate(reports(mails), 1):
        rows = [_row(number, ordinal, record) for ordinal, record in enumerate(report["records"])]
        connection.execute("BEGIN IMMEDIATE")
        _insert(connection, "dmarc_report", [_report(number, report, rows)])
        _insert(connection, "dmarc_record", rows)
        connection.execute("COMMIT")
        records += len(rows)
    connection.close()
    return records


def _insert(connection: sqlite3.Connection, table: str, rows: list[tuple[object, ...]]) -> None:
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def _report(number: int, report: dict[str, Any], rows: list[tuple[object, ...]]) -> tuple[object, ...]:
    said, policy = report["report_metadata"], report["policy_published"]
    who = ("", said["org_name"], said["org_email"], said["report_id"], policy["domain"])
    when = (said["begin_date"], said["end_date"])
    totals = (len(rows), sum(int(str(row[3])) for row in rows))
    text = (json.dumps(policy), json.dumps(said["errors"]), said["generator"] or "")
    return (number, *who, *when, *text, f"digest {number}", "", *totals, "{}", said["end_date"])


def _row(report: int, ordinal: int, record: dict[str, Any]) -> tuple[object, ...]:
    evaluated, aligned, names = record["policy_evaluated"], record["alignment"], record["identifiers"]
    return (
        report,
        ordinal,
        record["source"]["ip_address"],
        record["count"],
        evaluated["disposition"],
        aligned["dkim"],
        aligned["spf"],
        aligned["dmarc"],
        names["header_from"],
        names["envelope_from"] or "",
        names["envelope_to"] or "",
        json.dumps([(one["domain"], one["selector"], one["result"]) for one in record["auth_results"]["dkim"]]),
        json.dumps([(one["domain"], one["scope"], one["result"]) for one in record["auth_results"]["spf"]]),
        json.dumps([(one["type"], one["comment"]) for one in evaluated["policy_override_reasons"]]),
    )


if __name__ == "__main__":
    child.run({"nothing": child.nothing, "parse": parse, "store": store})
