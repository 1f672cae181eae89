"""The append-only ledger: everything that happened in the world, one JSON object a line.

It is the oracle. What the wire formats say must be what `recount` adds up from here, and an
effect whose answer never arrived is found here all the same.

`type`, and what a record of it holds besides `n`, `at`, `origin`, `platform`, `community`:

    world               seed, born: the first line
    community           id, count: a community opens with so many followers
    follow, unfollow    person
    post                id, text, category, media?, key?       post_deleted, post_forgotten   id
    comment             id, post, parent?, person, text, kind      comment_deleted   id, post?
    comment_restored    id, post, parent?, person, text, detail {at}: a deleted one is back, written when it was
    mention             id, person, text, kind: a customer writes about the community, under no post
    message             id, person, text, kind: a customer's direct message
    reply               id, via (comment, mention, message), post?, parent?, person?, text, media?, key?:
                        the community answers
    reaction, reaction_removed   id (a post or comment), person
    share               id, person
    view                id, count, unique: so many more views, by so many more people
    save, save_removed, quote    id, person
    media               id, kind, count, detail?: an image of that type and so many bytes was uploaded
    token, token_state, callback_set     what was set up through the control API or a platform's own
    fault, callback, clock       notes of what happened on the wire

`origin` says who caused it: `world` by itself, `api` through a platform's wire format, `control`
through the control API, `note` for what changes nothing in the world. A wire format may have types
of its own, `<platform>_…`; the world takes no notice of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, TypedDict, cast

import orjson

Origin = Literal["world", "api", "control", "note"]

_STRIDE = 512
"""One byte offset is remembered for so many lines."""


class Fields(TypedDict, total=False):
    """What differs from type to type."""

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
    """The ledger on disk was written by another world than this one."""


def read(path: Path) -> Iterator[Record]:
    """The records of a ledger file, oldest first; a last line cut off by a crash is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield cast("Record", orjson.loads(line))


class Ledger:
    """The ledger of a running world. Without a path it lives in a file that vanishes with the process."""

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
        """What an earlier process wrote; until `settled`, `append` only checks that it happens again."""
        if self.path is None or self._file.tell() == 0:
            return iter(())
        self._expected = read(self.path)
        return read(self.path)

    def settled(self) -> None:
        """The past is rebuilt: from here on, lines are written. `ForeignLedgerError` if some did not recur."""
        if self._expected is not None:
            missing = next((record for record in self._expected if record["origin"] != "note"), None)
            self._expected = None
            if missing is not None:
                raise _foreign(missing, None)
        self._reindex()

    def append(self, record: Record) -> None:
        """Write a record, or, while the past is rebuilt, check it against what was written then."""
        if self._expected is not None:
            for expected_record in self._expected:
                if expected_record["origin"] == "note":
                    continue
                # What was dealt out anew (n) may differ; what happened may not.
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
        """Up to `limit` records that follow number `after`."""
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
        """Find the offsets of the lines that are already there."""
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
