"""One look at all that a finished run changed in DNS, in listmonk and beside them."""

from blocks import hestia_dns, opendkim
from blocks.listmonk import Listmonk
from blocks.ssh_session import Reader
from deliverability.estate import Estate
from deliverability.plan import Plan
from deliverability.rollback_forward import ForwardLook


def read(master: Reader, mta: Reader, estate: Estate, past: Plan) -> ForwardLook:
    """Nothing is written. A file that is gone is left out. Raises Refused, HostError, MalformedFile."""
    paths = [edit.path for edit in past.edits()]
    texts = mta.run_all(*(("cat", "--", path) for path in paths)) if paths else []
    return ForwardLook(
        zone=hestia_dns.read(master, estate.dns.zone_owner, estate.dns.zone),
        key_records={key.path: opendkim.known_key(mta, key.path) for key in past.new_keys()},
        instances={
            change.instance: Listmonk.of(change.instance, estate.listmonk[change.instance]).read(mta)
            for change in past.senders()
        },
        files={path: text.stdout for path, text in zip(paths, texts, strict=True) if text.exit_code == 0},
    )
