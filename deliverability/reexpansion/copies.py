"""One more sending address, written as the stream's own is: its lines are copied, with other names and addresses.

Whoever wrote the files knew why an entry looks as it does; a copy of it needs no template. Each edit is read again, and
refused if anything but the one new thing has come of it.
"""

import re
from collections.abc import Mapping, Sequence

from deliverability.errors import MalformedFile, Refused
from deliverability.network import interfaces
from deliverability.postfix import main_cf, master_cf
from deliverability.postfix.plaintext import physical_lines

_ALL = re.compile(r"^[ \t]*ALL=\((?P<words>[^()\n]*)\)[ \t]*(?:#[^\n]*)?$", re.MULTILINE)


def transport(text: str, of: str, name: str, words: Mapping[str, str], path: str = master_cf.PATH) -> str:
    """master.cf with a copy of the service `of`/unix named `name`, behind it; `words` says what it has instead of what.

    Unchanged if the service is there already and is such a copy. Raises Refused if it is there and is another, and if
    `of` does not have each of the words; MalformedFile.
    """
    before = master_cf.parse(text, path)
    model = before.effective.get(f"{of}/unix")
    if model is None:
        raise Refused(f"{path} has no transport {of}, whose copy {name} would be")
    wanted = {key: _swapped(value, words) for key, value in model.overrides.items()}
    if missing := [old for old in words if not any(old in value for value in model.overrides.values())]:
        raise Refused(f"{path}: {of} does not say {', '.join(missing)}, which the copy is to say otherwise")
    present = before.effective.get(f"{name}/unix")
    if present is not None:
        if dict(present.overrides) == wanted and present.command == model.command:
            return text
        raise Refused(f"{path}:{present.line}: there is a {name} already, and it is no copy of {of}")
    lines = physical_lines(text)
    own = [lines[number - 1] for number in model.lines]
    own[0] = re.sub(rf"^(\s*){re.escape(of)}(?=\s)", rf"\g<1>{name}", own[0], count=1)
    after = _inserted(lines, model.lines[-1], [_swapped(line, words) for line in own])
    now = master_cf.parse(after, path)
    made = now.effective.get(f"{name}/unix")
    others = [(service.key, service.overrides) for service in now.services if service.key != f"{name}/unix"]
    if made is None or dict(made.overrides) != wanted or others != [(s.key, s.overrides) for s in before.services]:
        raise Refused(f"{path}: {of} cannot be copied line by line; add {name} by hand, then plan again")
    return after


def parameters(text: str, of: str, name: str, path: str = main_cf.PATH) -> str:
    """main.cf with the parameters of the transport `of` for `name` too, each behind its model, as far as missing."""
    before = main_cf.parse(text, path)
    for parameter in main_cf.service_parameters(before, of):
        copy = f"{name}{parameter.removeprefix(of)}"
        if copy not in before.values:
            now = main_cf.parse(text, path)
            last = max(number for one in now.parameters if one.name == parameter for number in one.lines)
            text = _inserted(physical_lines(text), last, [f"{copy} = {before.value(parameter)}\n"])
    return text


def address(text: str, of: str, new: str, path: str = interfaces.PATH) -> str:
    """interfaces with the `ip addr` commands of the address `of` for `new` too; unchanged if it binds `new`.

    Raises Refused where `of` is not bound by commands of its own: an alias has a number, which somebody has to choose.
    """
    before = interfaces.parse(text, path)
    known = interfaces.addresses(before)
    if any(binding.address == new for binding in known):
        return text
    model = next((binding for binding in known if binding.address == of), None)
    if model is None or model.how != "command":
        raise Refused(f"{path} does not bind {of} by an `ip addr add` of its own; bind {new} by hand, then plan again")
    lines = physical_lines(text)
    named = re.compile(rf"(?<![\d.]){re.escape(of)}(?![\d.])")
    options = [
        option
        for stanza in before.stanzas
        for option in stanza.options
        if any(command.address == of for command in interfaces.commands(stanza, option))
    ]
    own = [lines[number - 1] for option in options for number in option.lines]
    last = max(number for option in options for number in option.lines)
    after = _inserted(lines, last, [named.sub(new, line) for line in own])
    came = [binding for binding in interfaces.addresses(interfaces.parse(after, path)) if binding.address == new]
    if len(came) != 1 or (came[0].interface, came[0].prefix) != (model.interface, model.prefix):
        raise Refused(f"{path}: the lines of {of} cannot be copied; bind {new} by hand, then plan again")
    return after


def warmed(text: str, name: str, path: str) -> str:
    """The warm-up script with one more transport in its `ALL=(...)`; unchanged if it is in there.

    Raises MalformedFile for a script that has no such line, or several.
    """
    found = list(_ALL.finditer(text))
    if len(found) != 1:
        raise MalformedFile(path, 1, f"{len(found)} lines `ALL=(...)`, and exactly one is understood")
    words = found[0]["words"].split()
    if name in words:
        return text
    return f"{text[: found[0].start('words')]}{' '.join([*words, name])}{text[found[0].end('words') :]}"


def _swapped(text: str, words: Mapping[str, str]) -> str:
    for old, new in words.items():
        text = re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w.-])", new, text)
    return text


def _inserted(lines: Sequence[str], behind: int, new: Sequence[str]) -> str:
    before = [line if line.endswith("\n") else f"{line}\n" for line in lines[:behind]]
    return "".join([*before, *(line if line.endswith("\n") else f"{line}\n" for line in new), *lines[behind:]])
