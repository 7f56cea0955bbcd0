"""How HestiaCP's DNS commands behave, as a table.

Every row was seen on a real HestiaCP (since = RUN) or read in its source (SRC); its title is the fact. A row begins
with a zone of two NS and one A record, all with IDs below 100, and calls commands as USER DOMAIN ...

Rows that are not `here` touch nothing but the scratch domain, and could be run against a real HestiaCP over SSH.
"""

from hestia_row import (
    ADD,
    CHANGE,
    DELETE,
    DNSSEC,
    DOMAIN,
    FAILING,
    NEW,
    NOTHING,
    OLD,
    REBUILD,
    SUSPEND,
    UNSUSPEND,
    USER,
    Row,
    add,
    call,
    numbered,
)
from hestia_values import ARGUMENTS, NAMES, QUOTING, SPF

NO_PENDING = "No pending changes in DNS entry."
TODAY = r"20\d{6}"

IDS = (
    Row(
        "a new ID is the highest and one; the last one's is used again",
        "RUN",
        (
            numbered("150", "a", "TXT", "x"),
            add("b", "TXT", "y"),
            call(DELETE, "151"),
            add("c", "TXT", "z"),
        ),
        listed={"151": {"RECORD": "c"}, "152": NOTHING},
    ),
    Row("ID 0", "RUN", (add("a", "TXT", "x", "", "0", code=2, says="invalid id format"),)),
    Row(
        "an ID that is taken",
        "RUN",
        (
            numbered("150", "a", "TXT", "x"),
            add("b", "TXT", "y", "", "150", code=4, says="Error: ID=150 already exists"),
        ),
        listed={"150": {"RECORD": "a"}},
    ),
    Row(
        "an ID is matched as a whole",
        "RUN",
        (numbered("464", "a", "TXT", "x"), numbered("1464", "b", "TXT", "y"), call(DELETE, "464")),
        listed={"464": NOTHING, "1464": {"RECORD": "b"}},
    ),
    Row(
        "nothing stops a second identical record, nor a second SPF",
        "RUN",
        (
            numbered("150", "a", "TXT", SPF),
            numbered("151", "a", "TXT", SPF),
            numbered("152", "a", "TXT", "v=spf1 -all"),
        ),
        listed={"150": {"VALUE": f'"{SPF}"'}, "151": {"VALUE": f'"{SPF}"'}},
        published={("a", "TXT"): (f'"{SPF}"', '"v=spf1 -all"')},
    ),
)

CHANGES = (
    Row("a TTL is a number", "RUN", (add("a", "TXT", "x", "", "", "", "1h", code=2, says="Error: invalid ttl"),)),
    Row(
        "a TTL that is not given is the zone's, and cannot be told from it",
        "RUN",
        (numbered("150", "a", "TXT", "x"), numbered("151", "b", "TXT", "y", ttl="14400")),
        listed={"150": {"TTL": "14400"}, "151": {"TTL": "14400"}},
        stored=("TTL='14400'",),
    ),
    Row(
        "change without TTL drops the record's own",
        "RUN",
        (numbered("150", "a", "TXT", "x", ttl="600"), call(CHANGE, "150", "a", "TXT", "y")),
        listed={"150": {"VALUE": "y", "TTL": "14400"}},
    ),
    Row(
        "change to the same is refused",
        "RUN",
        (numbered("150", "a", "TXT", "x"), call(CHANGE, "150", "a", "TXT", "x", code=4, says=NO_PENDING)),
        listed={"150": {"VALUE": "x"}},
    ),
    Row(
        "change ends a suspension",
        "RUN",
        (
            numbered("150", "a", "TXT", "x"),
            call(SUSPEND, "150", noise="not found"),
            call(CHANGE, "150", "a", "TXT", "x"),
        ),
        listed={"150": {"SUSPENDED": "no"}},
        published={("a", "TXT"): ('"x"',)},
    ),
    Row(
        "a suspended record stays published until the next write",
        "RUN",
        (
            numbered("150", "a", "TXT", "x"),
            call(SUSPEND, "150", noise="rebuild_dns_domain_conf: command not found"),
        ),
        listed={"150": {"SUSPENDED": "yes"}},
        published={("a", "TXT"): ('"x"',)},
    ),
    Row(
        "the next write takes a suspended record out; it stays listed",
        "RUN",
        (
            numbered("150", "a", "TXT", "x"),
            call(SUSPEND, "150", noise="not found"),
            numbered("151", "b", "TXT", "y"),
        ),
        listed={"150": {"SUSPENDED": "yes"}},
        published={("a", "TXT"): (), ("b", "TXT"): ('"y"',)},
    ),
    Row(
        "a suspension can be ended",
        "SRC",
        (
            numbered("150", "a", "TXT", "x"),
            call(SUSPEND, "150", noise="not found"),
            call(REBUILD, "no"),
            call(UNSUSPEND, "150"),
        ),
        listed={"150": {"SUSPENDED": "no"}},
        published={("a", "TXT"): ('"x"',)},
    ),
    Row(
        "the last A and the last NS stay",
        "RUN",
        (
            call(DELETE, "3", code=2, says="Error: at least one A record should remain active"),
            call(DELETE, "1"),
            call(DELETE, "2", code=2, says="Error: at least one NS record should remain active"),
        ),
        listed={"1": NOTHING, "2": {"TYPE": "NS"}, "3": {"TYPE": "A"}},
        switches=NEW,  # of a zone that is known to have no more of them
    ),
)

CODES = (
    Row("an unknown ID", "RUN", (call(DELETE, "999", code=3, says=f"Error: {DOMAIN} id 999 doesn't exist"),)),
    Row(
        "a suspended user",
        "RUN",
        (
            add("a", "TXT", "x", code=5, says=f"Error: user {USER} is suspended"),
            call(CHANGE, "3", "@", "A", "192.0.2.2", code=5, says=f"user {USER} is suspended"),
        ),
        given=(("user.conf", "SUSPENDED", "yes"),),
        listed={"3": {"VALUE": "192.0.2.1"}},
    ),
    Row(
        "the limit of the package",
        "RUN",
        (add("a", "TXT", "x", code=8, says="DNS_RECORDS limit is reached :: upgrade user package"),),
        given=(("user.conf", "DNS_RECORDS", "3"),),
    ),
    Row(
        "no DNS at all",
        "RUN",
        (add("a", "TXT", "x", code=11, says="DNS_SYSTEM is not enabled"),),
        given=(("hestia.conf", "DNS_SYSTEM", ""),),
    ),
    Row(
        "add, when the restart fails: exit 2, three odd lines, and the record is there",
        "RUN",
        (add("a", "TXT", "x", "", "150", code=2, says="Error: 20", noise="numeric argument required"),),
        listed={"150": {"VALUE": "x"}},
        published={("a", "TXT"): ('"x"',)},
        switches=FAILING,
    ),
    Row(
        "change, when the restart fails: exit 20, and the change is made",
        "RUN",
        (
            numbered("150", "a", "TXT", "x"),
            call(CHANGE, "150", "a", "TXT", "y", code=20, says="bind9 restart failed'"),
        ),
        listed={"150": {"VALUE": "y"}},
        published={("a", "TXT"): ('"y"',)},
        switches=FAILING,
    ),
    Row(
        "delete, when the restart fails: exit 20, and the record is gone",
        "RUN",
        (numbered("150", "a", "TXT", "x"), call(DELETE, "150", code=20, says="bind9 restart failed'")),
        listed={"150": NOTHING},
        published={("a", "TXT"): ()},
        switches=FAILING,
    ),
    Row(
        "RESTART no: published all the same, and a restart that would fail is not missed",
        "SRC",
        (add("a", "TXT", "x", "", "150", "no"),),
        published={("a", "TXT"): ('"x"',)},
        switches=FAILING,
    ),
    Row(
        "RESTART scheduled: queued",
        "SRC",
        (add("a", "TXT", "x", "", "150", "scheduled"),),
        files={"data/queue/restart.pipe": r"v-restart-dns now\n$"},
        switches=FAILING,
    ),
)

STORAGE = (
    Row(
        "a record is one line",
        "RUN",
        (add("@", "MX", "co.carrierone.com", "", "150", "no", "600"),),
        files={
            f"data/users/{USER}/dns/{DOMAIN}.conf": r"ID='150' RECORD='@' TYPE='MX' PRIORITY='10' "
            r"VALUE='co\.carrierone\.com\.' SUSPENDED='no' TIME='\d\d:\d\d:\d\d' DATE='\d{4}-\d\d-\d\d' TTL='600'\n"
        },
    ),
    Row(
        "a success is logged with its arguments, and in the user's history",
        "RUN",
        (add("a", "TXT", "secret words", "", "150", "no"),),
        files={
            "log/system.log": r"v-add-dns-record  'tester' 'rows.example' 'a' 'TXT' 'secret words' '' '150' 'no'\n",
            f"data/users/{USER}/history.log": r"Added DNS record \(Type: TXT, Value: a, Domain: rows.example\)",
        },
    ),
    Row(
        "a failure is logged with its code",
        "RUN",
        (call(DELETE, "998", code=3, says="Error: "),),
        files={"log/error.log": r"v-delete-dns-record  'tester' 'rows.example' '998' \[Error 3\]\n"},
    ),
    Row(
        "the counters follow",
        "RUN",
        (numbered("150", "a", "TXT", "x"), numbered("151", "a", "TXT", "y"), call(DELETE, "150")),
        files={f"data/users/{USER}/dns.conf": "RECORDS='4'", f"data/users/{USER}/user.conf": "U_DNS_RECORDS='4'"},
    ),
    Row(
        "quiet: no line in the history",
        "SRC",
        (call(ADD, "a", "TXT", "x", "", "150", "no", "", "yes"),),
        files={f"data/users/{USER}/history.log": r"^(?![\s\S]*Value: a,)"},
    ),
    Row(
        "1.10: the serial is a counter",
        "RUN",
        (numbered("150", "a", "TXT", "x"),),
        given=(("dns.conf", "SERIAL", "3000000041"),),
        files={f"data/users/{USER}/dns.conf": "SERIAL='3000000042'"},
        published={("@", "SOA"): (f"ns1.he.net. root.{DOMAIN}. 3000000042 14400 3600 1209600 3600",)},
        switches=NEW,
    ),
    Row(
        "1.10: a zone that comes from 1.9 jumps to where the counter starts",
        "RUN",
        (numbered("150", "a", "TXT", "x"),),
        given=(("dns.conf", "SERIAL", "2026112423"),),
        files={f"data/users/{USER}/dns.conf": "SERIAL='3000000000'"},
        switches=NEW,
    ),
    Row(
        "1.10: the counter wraps to 1",
        "SRC",
        (numbered("150", "a", "TXT", "x"),),
        given=(("dns.conf", "SERIAL", "4294967295"),),
        files={f"data/users/{USER}/dns.conf": "SERIAL='1'"},
        switches=NEW,
    ),
    Row(
        "1.9: the serial is the day and a number",
        "RUN",
        (numbered("150", "a", "TXT", "x"), numbered("151", "b", "TXT", "y")),
        files={f"data/users/{USER}/dns.conf": f"SERIAL='{TODAY}02'"},
        given=(("dns.conf", "SERIAL", "2020010107"),),
        switches=OLD,
    ),
    Row(
        "1.9: the numbers of the SOA are others",
        "RUN",
        (numbered("150", "a", "TXT", "x"),),
        files={f"../../../home/{USER}/conf/dns/{DOMAIN}.db": r"\n +7200\n +3600\n +1209600\n +180 \)\n"},
        switches=OLD,
    ),
    Row(
        "a cluster is told from a queue",
        "SRC",
        (
            numbered("150", "a", "TXT", "x"),
            call(DELETE, "150", "no"),
            call(CHANGE, "3", "@", "A", "192.0.2.2", "", "no"),
        ),
        given=(("hestia.conf", "DNS_CLUSTER", "yes"),),
        files={
            "data/queue/dns-cluster.pipe": rf"v-add-remote-dns-record {USER} {DOMAIN} 150\n"
            rf".*v-delete-remote-dns-record {USER} {DOMAIN} 150\n.*v-add-remote-dns-domain {USER} {DOMAIN} records\n"
        },
    ),
    Row(
        "no DNSSEC in a cluster of the old kind",
        "SRC",
        (call(DNSSEC, "yes", code=11, says="Error: "),),
        given=(("hestia.conf", "DNS_CLUSTER", "yes"),),
    ),
)

ROWS = (*ARGUMENTS, *NAMES, *QUOTING, *IDS, *CHANGES, *CODES, *STORAGE)
