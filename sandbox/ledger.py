"""The append-only ledger: everything that happened in the world, one JSON object per line.

It is the test oracle: responses must agree with what `recount` computes from it, and an effect
whose response was lost is recorded here too.

Types, and their fields besides `n`, `at`, `origin`, `platform`, `community`:

    world               seed, born: the first line
    community           id, count: a community starts with `count` followers
    follow, unfollow    person, detail? {invite_link}: through which it was
    post                id, text, category, media?, key?       post_deleted, post_forgotten   id
    post_edited, comment_edited  id, text: its author replaced the text of a post, comment or mention
    comment             id, post, parent?, person, text, kind, attachments?      comment_deleted   id, post?
    comment_restored    id, post, parent?, person, text, detail {at}: a deleted one is restored, written at `at`
    mention             id, person, text, kind, attachments?: a customer writes about the community, under no post
                        (comment and mention: claimed?, the date that the customer's own server wrote into it)
    message             id, person, text, kind, attachments?: a customer's direct message
    reply               id, via (comment, mention, message), post?, parent?, person?, text, media?, key?:
                        the community replies
    reaction, reaction_removed   id (a post or comment), person
    share               id, person
    view                id, count, unique: `count` more views by `unique` more people
    save, save_removed, quote    id, person
                        attachments are objects with `kind` (picture, video, file) and `name`
    media               id, kind, count, detail?: an image of type `kind` and `count` bytes was uploaded
    token, token_state, callback_set     settings made through the control API or a platform's API
    fault, callback, clock       notes: injected faults, delivered webhook events, clock changes

`origin` is the cause: `world` the simulation, `api` a platform's API, `control` the control API,
`note` for records that change nothing in the world. A wire format may have types of its own,
`<platform>_…`, which the world ignores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, TypedDict, cast

import orjson

Origin = Literal["world", "api", "control", "note"]

_STRIDE = 512
"""One byte offset is kept per this many lines."""


class Fields(TypedDict, total=False):
    """The fields that depend on the type."""

    id: str
    post: str
    parent: str
    person: int
    text: str
    category: str
    kind: str
    via: str
    key: str
    count: int
    unique: int
    media: list[str]
    claimed: str
    attachments: list[dict[str, str]]
    name: str
    detail: dict[str, object]


class Record(Fields, total=False):
    """One line."""

    n: int
    at: str
    type: str
    origin: Origin
    platform: str
    community: str


class ForeignLedgerError(Exception):
    """The ledger on disk was written by a world with another seed or version."""


def read(path: Path) -> Iterator[Record]:
    """The records of a ledger file, oldest first, without a last line truncated by a crash."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield cast("Record", orjson.loads(line))


class Ledger:
    """The ledger of a running world; without a path, in a temporary file."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._count = 0
        self._offsets = [0]
        self._expected: Iterator[Record] | None = None
        self._file = self._open(path)

    @staticmethod
    def _open(path: Path | None) -> IO[bytes]:
        if path is None:
            return tempfile.TemporaryFile("w+b")
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
        size = file.seek(0, 2)
        file.seek(0)
        whole = 0
        for line in file:
            whole += len(line) if line.endswith(b"\n") else 0
        if whole < size:
            file.truncate(whole)
        file.seek(0, 2)
        return file

    def __len__(self) -> int:
        return self._count

    def recorded(self) -> Iterator[Record]:
        """The records of an earlier process. Until `settled`, `append` only compares with them."""
        if self.path is None or self._file.tell() == 0:
            return iter(())
        self._expected = read(self.path)
        return read(self.path)

    def settled(self) -> None:
        """End the replay: `append` writes from now on. Raises `ForeignLedgerError` if a record did not recur."""
        if self._expected is not None:
            missing = next((record for record in self._expected if record["origin"] != "note"), None)
            self._expected = None
            if missing is not None:
                raise _foreign(missing, None)
        self._reindex()

    def append(self, record: Record) -> None:
        """Write a record, or during a replay compare it with the one on disk (`ForeignLedgerError` if it differs)."""
        if self._expected is not None:
            for expected_record in self._expected:
                if expected_record["origin"] == "note":
                    continue
                # Only the line number `n` may differ.
                if {**expected_record, "n": 0} != {**record, "n": 0}:
                    raise _foreign(expected_record, record)
                record["n"] = expected_record["n"]
                return
            self._expected = None
            self._reindex()
        record["n"] = self._count + 1
        if self._count and self._count % _STRIDE == 0:
            self._offsets.append(self._file.tell())
        self._file.write(orjson.dumps(record) + b"\n")
        self._count += 1

    def flush(self) -> None:
        self._file.flush()

    def page(self, after: int, limit: int) -> list[Record]:
        """Up to `limit` records after number `after`."""
        self.flush()
        if after >= self._count:
            return []
        start = min(after // _STRIDE, len(self._offsets) - 1)
        records: list[Record] = []
        end = self._file.tell()
        try:
            self._file.seek(self._offsets[start])
            for line in self._file:
                record = cast("Record", orjson.loads(line))
                if record["n"] > after:
                    records.append(record)
                if len(records) == limit:
                    break
        finally:
            self._file.seek(end)
        return records

    def close(self) -> None:
        self._file.close()

    def _reindex(self) -> None:
        """Compute the offsets of the lines on disk."""
        self._file.seek(0)
        self._count, self._offsets, position = 0, [], 0
        for line in self._file:
            if self._count % _STRIDE == 0:
                self._offsets.append(position)
            self._count += 1
            position += len(line)
        self._offsets = self._offsets or [0]
        self._file.seek(0, 2)


def _foreign(expected: Record, actual: Record | None) -> ForeignLedgerError:
    here = "nothing" if actual is None else f"{actual['type']} at {actual['at']}"
    return ForeignLedgerError(
        f"the ledger was written by another seed or version: line {expected['n']} says "
        f"{expected['type']} at {expected['at']}, this world has {here}; move the file away to start anew"
    )
