"""The commands by name: how many arguments they need, how they are used, and who does them."""

import sys
from collections.abc import Callable
from pathlib import Path

from rehearsal.hestia import listing, settings, writing
from rehearsal.hestia.call import Call, Code, Refused

Deed = Callable[[Call], int]

COMMANDS: dict[str, tuple[int, str, Deed]] = {
    "v-add-dns-record": (5, "USER DOMAIN RECORD TYPE VALUE [PRIORITY] [ID] [RESTART] [TTL]", writing.add),
    "v-change-dns-record": (6, "USER DOMAIN ID RECORD TYPE VALUE [PRIORITY] [RESTART] [TTL]", writing.change),
    "v-delete-dns-record": (3, "USER DOMAIN ID [RESTART]", writing.delete),
    "v-suspend-dns-record": (3, "USER DOMAIN ID [RESTART]", writing.suspend),
    "v-unsuspend-dns-record": (3, "USER DOMAIN ID [RESTART]", writing.unsuspend),
    "v-rebuild-dns-domain": (2, "USER DOMAIN [RESTART] [UPDATE_SERIAL]", writing.rebuild),
    "v-change-dns-domain-dnssec": (3, "USER DOMAIN STATUS", writing.change_dnssec),
    "v-list-dns-records": (2, "USER DOMAIN [FORMAT]", listing.records),
    "v-list-dns-domain": (2, "USER DOMAIN [FORMAT]", listing.domain),
    "v-list-dns-domains": (1, "USER [FORMAT]", listing.domains),
    "v-list-dnssec-public-key": (2, "USER DOMAIN [FORMAT]", listing.dnssec_key),
}


def main() -> int:
    command = Path(sys.argv[0]).name
    call = Call(command, tuple(sys.argv[1:]), settings.read())
    least, usage, deed = COMMANDS[command]
    try:
        if len(call.arguments) < least:
            raise Refused(Code.ARGS, f"Usage: {command} {usage}")
        return deed(call)
    except Refused as refusal:
        print(refusal)
        call.log(refusal.code)
        return refusal.code
