"""What HestiaCP does to its arguments, to names and to values: the first half of the table."""

from hestia_row import CHANGE, DOMAIN, NEW, OLD, Row, add, call, numbered

SPF = "v=spf1 ip4:192.0.2.7 -all"
LOST = "v=spf1" + " ip4:192.0.2.111" * 15 + " mx:a.com ip4:192.0.2.9 -all"
"""Its character 256 is a blank."""
LONG = "k" * 300 + " " + "e" * 300

ARGUMENTS = (
    Row(
        "too few arguments", "RUN", (add("www", code=1, says="Usage: v-add-dns-record USER DOMAIN RECORD TYPE VALUE"),)
    ),
    Row(
        "add: the ID stands before RESTART, the TTL is last",
        "RUN",
        (add("www", "A", "192.0.2.9", "", "150", "no", "600"),),
        listed={"150": {"RECORD": "www", "TYPE": "A", "VALUE": "192.0.2.9", "PRIORITY": "", "TTL": "600"}},
        published={("www", "A"): ("192.0.2.9",)},
    ),
    Row(
        "change: the ID is third, RESTART eighth",
        "RUN",
        (numbered("150", "www", "A", "192.0.2.9"), call(CHANGE, "150", "www", "A", "192.0.2.10", "", "yes", "700")),
        listed={"150": {"VALUE": "192.0.2.10", "TTL": "700", "SUSPENDED": "no"}},
        published={("www", "A"): ("192.0.2.10",)},
    ),
    Row("an unknown RESTART", "SRC", (add("www", "A", "192.0.2.9", "", "150", "later", code=2, says="restart"),)),
    Row("an unknown type", "SRC", (add("www", "HINFO", "x", code=2, says="Error: "),)),
    Row(
        "add makes TYPE upper case and RECORD lower case",
        "RUN",
        (numbered("150", "WWW", "a", "192.0.2.9"),),
        listed={"150": {"RECORD": "www", "TYPE": "A"}},
    ),
    Row(
        "change leaves RECORD as it is",
        "RUN",
        (numbered("150", "www", "TXT", "x"), call(CHANGE, "150", "WithTTL", "TXT", "x", "", "", "600")),
        listed={"150": {"RECORD": "WithTTL"}},
    ),
    Row(
        "change without TYPE keeps the old one",
        "RUN",
        (numbered("150", "www", "TXT", "x"), call(CHANGE, "150", "www", "", "y")),
        listed={"150": {"TYPE": "TXT", "VALUE": "y"}},
    ),
    Row(
        "priority: 10 unless given",
        "RUN",
        (add("@", "MX", "mx.example.net", "", "150"), add("@", "MX", "mx.example.org", "5", "151")),
        listed={"150": {"PRIORITY": "10"}, "151": {"PRIORITY": "5"}},
        published={("@", "MX"): ("10 mx.example.net.", "5 mx.example.org.")},
    ),
    Row(
        "priority: empty for what is neither MX nor SRV",
        "RUN",
        (add("www", "A", "192.0.2.9", "7", "150"),),
        listed={"150": {"PRIORITY": ""}},
    ),
    Row(
        "names as values get their last dot",
        "RUN",
        (
            numbered("150", "www", "CNAME", "web.example.net"),
            numbered("151", "sub", "NS", "ns.example.net"),
            numbered("152", "_sip._tcp", "SRV", "5 5060 sip.example.net"),
        ),
        listed={
            "150": {"VALUE": "web.example.net."},
            "151": {"VALUE": "ns.example.net."},
            "152": {"VALUE": "5 5060 sip.example.net."},
        },
    ),
    Row("a mail server must be named in full", "RUN", (add("@", "MX", "localhost", code=2, says="Error: MX record"),)),
    Row("a name server needs three dots", "RUN", (add("sub", "NS", "example.net", code=2, says="Error: NS record"),)),
    Row("an address is an address", "SRC", (add("www", "A", "192.0.2.999", code=2, says="Error: invalid"),)),
    Row(
        "no CNAME at the apex",
        "RUN",
        (add("@", "CNAME", "web.example.net", code=2, says="Error: CNAME on root is not allowed"),),
    ),
    Row(
        "a name server inside the domain needs an address",
        "SRC",
        (
            add("@", "NS", f"ns9.{DOMAIN}", code=3, says="does not exist"),
            numbered("150", "ns9", "A", "192.0.2.9"),
            numbered("151", "@", "NS", f"ns9.{DOMAIN}"),
        ),
        listed={"151": {"VALUE": f"ns9.{DOMAIN}."}},
    ),
)

NAMES = (
    Row(
        "the base domain is appended to a full name",
        "RUN",
        (numbered("150", f"full.{DOMAIN}", "TXT", "x"),),
        published={(f"full.{DOMAIN}", "TXT"): ('"x"',), ("full", "TXT"): ()},
    ),
    Row(
        "a name with a dot at its end is absolute",
        "RUN",
        (numbered("150", f"full.{DOMAIN}.", "TXT", "x"),),
        published={("full", "TXT"): ('"x"',)},
    ),
    Row("a wildcard works", "RUN", (numbered("150", "*", "TXT", "x"),), published={("any", "TXT"): ('"x"',)}),
    Row(
        "a name with a dash in front becomes an empty one",
        "RUN",
        (add("-www", "TXT", "x", "", "150", noise="idn2"),),
        listed={"150": {"RECORD": ""}},
    ),
)

QUOTING = (
    Row(
        "a value with a blank is stored in quotes, given with or without",
        "RUN",
        (numbered("150", "a", "TXT", SPF), numbered("151", "b", "TXT", f'"{SPF}"')),
        listed={"150": {"VALUE": f'"{SPF}"'}, "151": {"VALUE": f'"{SPF}"'}},
        stored=(f"""RECORD='a' TYPE='TXT' PRIORITY='' VALUE='"{SPF}"' SUSPENDED='no'""",),
        published={("a", "TXT"): (f'"{SPF}"',), ("b", "TXT"): (f'"{SPF}"',)},
    ),
    Row(
        "a value without a blank is stored without quotes",
        "RUN",
        (numbered("150", "a", "TXT", '"google-site-verification=abc"'),),
        listed={"150": {"VALUE": "google-site-verification=abc"}},
        stored=("VALUE='google-site-verification=abc'",),
        published={("a", "TXT"): ('"google-site-verification=abc"',)},
    ),
    Row(
        "a value with a semicolon is stored in quotes",
        "RUN",
        (numbered("150", "a", "TXT", "v=DMARC1;p=none"),),
        listed={"150": {"VALUE": '"v=DMARC1;p=none"'}},
    ),
    Row(
        "strings that were split are joined with a blank inside",
        "RUN",
        (numbered("150", "a", "TXT", '"aaa" "bbb"'),),
        listed={"150": {"VALUE": '"aaa bbb"'}},
        published={("a", "TXT"): ('"aaa bbb"',)},
    ),
    Row(
        "only CAA keeps its quotes",
        "RUN",
        (numbered("150", "@", "CAA", '0 issue "ca.example.net"'),),
        listed={"150": {"VALUE": '0 issue "ca.example.net"'}},
        published={("@", "CAA"): ('0 issue "ca.example.net"',)},
    ),
    Row(
        "a single quote is stored as a token and listed as itself",
        "RUN",
        (numbered("150", "a", "TXT", "it's so"),),
        listed={"150": {"VALUE": '"it\'s so"'}},
        stored=("""VALUE='"it%quote%s so"'""",),
        published={("a", "TXT"): ('"it\'s so"',)},
        switches=NEW,
    ),
    Row(
        "1.9.4: a single quote spoils its own record and later ones, and no exit code tells",
        "RUN",
        (
            numbered("150", "a", "TXT", "before"),
            add("b", "TXT", "it's so", "", "151", "no", noise="eval"),
            add("c", "TXT", "after", "", "152", "no", noise="eval"),
        ),
        listed={"151": {"VALUE": '"it\'s so"'}, "152": {"VALUE": "after"}},
        published={("a", "TXT"): ('"before"',), ("b", "TXT"): ('"before"',), ("c", "TXT"): ('"before"',)},
        switches=OLD,
    ),
    Row(
        "a backslash is stored and never listed; dollar and backtick survive",
        "RUN",
        (numbered("150", "a", "TXT", "a$b`c\\d"),),
        listed={"150": {"VALUE": "a$b`cd"}},
        stored=("VALUE='a$b`c\\d'",),
    ),
    Row(
        "1.10.3: a text is ASCII",
        "RUN",
        (add("a", "TXT", "größe", code=2, says="dns record validation failed"),),
        switches=NEW,
    ),
    Row("1.9.4: a text may be anything", "RUN", (numbered("150", "a", "TXT", "größe"),), switches=OLD),
    Row("a value is one line", "SRC", (add("a", "TXT", "one\ntwo", code=2, says="Error: "),)),
    Row(
        "a text has 1 to 65535 bytes",
        "SRC",
        (
            add("a", "TXT", "", code=2, says="Error: "),
            add("a", "TXT", "x" * 65536, code=2, says="Error: "),
        ),
        switches=NEW,
    ),
    Row(
        "a long text is stored and listed in one piece, and published in strings of 255",
        "RUN",
        (numbered("150", "a", "TXT", LONG),),
        listed={"150": {"VALUE": f'"{LONG}"'}},
        stored=(f"""VALUE='"{LONG}"'""",),
        published={("a", "TXT"): (f'"{LONG[:255]}" "{LONG[255:510]}" "{LONG[510:]}"',)},
    ),
    Row(
        "a blank that is character 256 is lost in what is published, not in what is listed",
        "RUN",
        (numbered("150", "a", "TXT", LOST),),
        listed={"150": {"VALUE": f'"{LOST}"'}},
        published={("a", "TXT"): (f'"{LOST[:255]}" "{LOST[256:]}"',)},
    ),
    Row(
        "a blank that is character 511 is lost too",
        "RUN",
        (numbered("150", "a", "TXT", "x" * 510 + " y"),),
        published={("a", "TXT"): (f'"{"x" * 255}" "{"x" * 255}" "y"',)},
    ),
)
