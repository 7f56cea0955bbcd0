"""The list of envelope senders whose bounces a watcher on the sending host counts: an address a line, `#` a comment."""

from deliverability.errors import MalformedFile


def parse(text: str, path: str) -> tuple[str, ...]:
    """The addresses, as they stand there. Raises MalformedFile for a line that is none."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        address = line.partition("#")[0].strip(" \t")
        if address and ("@" not in address or not address.isprintable() or " " in address):
            raise MalformedFile(path, number, f"{address[:80]!r} is no address")
        if address:
            found.append(address)
    return tuple(found)


def has(text: str, address: str, path: str) -> bool:
    """Whether the list names this address. Raises MalformedFile."""
    return address.lower() in (known.lower() for known in parse(text, path))


def add(text: str, address: str, path: str) -> str:
    """The text with this address at its end; unchanged if it has it. The others stay: their queue still drains."""
    if has(text, address, path):
        return text
    whole = text if text.endswith("\n") or not text else f"{text}\n"
    return f"{whole}{address}\n"
