"""A plan is data: an ordered list of changes, each with its before, its after and its inverse, under one digest.

Nothing here knows how a change is made (blocks/) or how it is shown (reports/).
"""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

SHORT_DIGEST = 12
"""Characters of a digest that a person types or pastes at a gate: 48 bits, enough to name one plan."""


class _Change(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    why: str = ""


class EditFile(_Change):
    """Replace the whole text of a file, keeping its owner and mode. `items` names each thing that goes or comes."""

    kind: Literal["edit-file"] = "edit-file"
    path: str
    before: str
    after: str
    items: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        return self.path

    def inverse(self) -> "EditFile":
        return self.model_copy(update={"before": self.after, "after": self.before, "why": f"undo: {self.why}"})


class _Address(_Change):
    interface: str
    address: str
    prefix: int
    label: str
    broadcast: str | None = None

    @property
    def target(self) -> str:
        return f"{self.address}/{self.prefix} on {self.interface}"


class RemoveAddress(_Address):
    """Remove one live address from an interface."""

    kind: Literal["remove-address"] = "remove-address"

    def inverse(self) -> "AddAddress":
        return AddAddress(**self.model_dump(exclude={"kind", "why"}), why=f"undo: {self.why}")


class AddAddress(_Address):
    """Add one live address to an interface."""

    kind: Literal["add-address"] = "add-address"

    def inverse(self) -> "RemoveAddress":
        return RemoveAddress(**self.model_dump(exclude={"kind", "why"}), why=f"undo: {self.why}")


class ReloadService(_Change):
    """Make a running service read its configuration again; done when it runs what its files say."""

    kind: Literal["reload-service"] = "reload-service"
    service: str

    @property
    def target(self) -> str:
        return self.service

    def inverse(self) -> "ReloadService":
        return self


class MakeKey(_Change):
    """Make a DKIM key on a host where there is none; one that is there is never overwritten, and none is ever removed.

    Nothing is signed with it until a table names it, so there is nothing to undo.
    """

    kind: Literal["make-key"] = "make-key"
    domain: str
    selector: str
    bits: int
    path: str

    @property
    def target(self) -> str:
        return self.path

    def inverse(self) -> "MakeKey":
        return self


KNOWN_LATER = "(known once the key is made)"
"""What a record of a plan says that publishes a key which the same plan makes."""


class SetRecord(_Change):
    """Publish one DNS record in place of another: `before` None is a new one, `after` None one that goes.

    `name` is relative to the zone, "@" for the zone's own. Values are whole, unsplit and without quotes; that of a key
    which is not made yet is KNOWN_LATER. `ttl` is the record's own in seconds, None for the zone's.
    """

    kind: Literal["set-record"] = "set-record"
    zone: str
    owner: str
    name: str
    type: str
    before: str | None
    after: str | None
    ttl: int | None = None
    priority: int | None = None

    @property
    def target(self) -> str:
        return f"{self.name} {self.type} in {self.zone}"

    def inverse(self) -> Self:
        return self.model_copy(update={"before": self.after, "after": self.before, "why": f"undo: {self.why}"})


class SetListmonkFrom(_Change):
    """Give a listmonk instance another default From (app.from_email), and make it send with that one."""

    kind: Literal["set-listmonk-from"] = "set-listmonk-from"
    instance: str
    before: str
    after: str

    @property
    def target(self) -> str:
        return f"From of {self.instance}"

    def inverse(self) -> Self:
        return self.model_copy(update={"before": self.after, "after": self.before, "why": f"undo: {self.why}"})


HostChange = EditFile | RemoveAddress | AddAddress | ReloadService
"""What is changed on a host under its guard. What has none there is undone forward, by its inverse."""

OtherChange = MakeKey | SetRecord | SetListmonkFrom

Change = Annotated[HostChange | OtherChange, Field(discriminator="kind")]


class Plan(BaseModel):
    """What a procedure will do, in this order, and nothing else. `host` is where most of it happens.

    `kept` says in words what stays, for the person who decides; it is no part of the digest. `attested` is what cannot
    be measured: whoever approves the plan says so in their name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    procedure: str
    estate: str
    host: str
    changes: tuple[Change, ...] = ()
    kept: tuple[str, ...] = ()
    attested: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.changes

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the procedure, estate, host and changes, and what is attested.

        The same observation gives the same digest on every machine: no time, no run, no path of ours is in it.
        """
        parts = {"procedure", "estate", "host", "changes", *(["attested"] if self.attested else [])}
        content = self.model_dump(mode="json", include=parts)
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    @property
    def short_digest(self) -> str:
        return self.digest[:SHORT_DIGEST]

    def edits(self) -> tuple[EditFile, ...]:
        return tuple(change for change in self.changes if isinstance(change, EditFile))

    def host_changes(self) -> tuple[HostChange, ...]:
        return tuple(change for change in self.changes if isinstance(change, HostChange))

    def other_changes(self) -> tuple[OtherChange, ...]:
        return tuple(change for change in self.changes if isinstance(change, OtherChange))

    def new_keys(self) -> tuple[MakeKey, ...]:
        return tuple(change for change in self.changes if isinstance(change, MakeKey))

    def senders(self) -> tuple[SetListmonkFrom, ...]:
        return tuple(change for change in self.changes if isinstance(change, SetListmonkFrom))

    def with_key(self, record: str) -> "Plan":
        """This plan, now that the record of its key is known."""
        known = (
            change.model_copy(update={"after": record})
            if isinstance(change, SetRecord) and change.after == KNOWN_LATER
            else change
            for change in self.changes
        )
        return self.model_copy(update={"changes": tuple(known)})

    def records(self) -> tuple[SetRecord, ...]:
        return tuple(change for change in self.changes if isinstance(change, SetRecord))

    def reloaded(self) -> tuple[str, ...]:
        """The services that have to read their files again, after these changes and after an undo of them."""
        return tuple(change.service for change in self.changes if isinstance(change, ReloadService))

    def removed_addresses(self) -> tuple[RemoveAddress, ...]:
        return tuple(change for change in self.changes if isinstance(change, RemoveAddress))

    def added_addresses(self) -> tuple[AddAddress, ...]:
        return tuple(change for change in self.changes if isinstance(change, AddAddress))
