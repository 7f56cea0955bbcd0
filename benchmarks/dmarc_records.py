"""What parsedmarc reads in each mail of a folder. Started by dmarc_differential.py, in parsedmarc's environment."""

import json
import sys
from pathlib import Path

import parsedmarc

from benchmarks import child

Record = tuple[str, int, bool, str]


def records(raw: bytes, config: parsedmarc.ParserConfig) -> list[Record] | None:
    try:
        report = parsedmarc.parse_report_email(raw, config=config)["report"]
    except parsedmarc.ParserError:
        return None
    return [
        (one["source"]["ip_address"], one["count"], one["alignment"]["dmarc"], one["policy_evaluated"]["disposition"])
        for one in report["records"]
    ]


def main() -> None:
    config = parsedmarc.ParserConfig(offline=True)
    print(json.dumps([records(raw, config) for raw in child.mails(Path(sys.argv[1]))]))


if __name__ == "__main__":
    main()
