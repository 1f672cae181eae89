"""Cursors hold a sort key, for one list only."""

import uuid
from datetime import UTC, date, datetime

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.kit.crypto import Keyring
from app.kit.errors import Invalid
from app.kit.paging import Pager

RING = Keyring([SecretStr(Fernet.generate_key().decode())])
OURS, THEIRS = uuid.uuid4(), uuid.uuid4()
INSTANTS = st.datetimes(timezones=st.just(UTC))


def pager(workspace_id: uuid.UUID = OURS, path: str = "/v1/projects", **filters: object) -> Pager:
    return Pager.of(RING, workspace_id, path, filters)


@given(INSTANTS, st.dates(), st.uuids(), st.integers(-(2**53), 2**53), st.text())
def test_a_sort_key_survives_the_round_trip(at: datetime, day: date, row: uuid.UUID, number: int, name: str) -> None:
    cursor = pager().write([at, day, row, number, name])
    assert pager().read(cursor, (datetime, date, uuid.UUID, int, str)) == [at, day, row, number, name]


@pytest.mark.parametrize(
    "other", [pager(THEIRS), pager(path="/v1/posts"), pager(status="open"), pager(status="open", kind="x")]
)
def test_a_cursor_is_of_one_list(other: Pager) -> None:
    with pytest.raises(Invalid):
        other.read(pager().write(["a"]), (str,))


@given(st.text(max_size=200))
def test_a_forged_cursor_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        pager().read(text, (str,))
    assert refused.value.code == "invalid-cursor"


@given(st.integers(0, 400), st.integers(0, 5))
def test_a_changed_cursor_is_refused(at: int, by: int) -> None:
    cursor = pager().write([datetime(2026, 1, 1, tzinfo=UTC), OURS])
    position = at % len(cursor)
    changed = cursor[:position] + chr(ord("A") + (ord(cursor[position]) + by) % 26) + cursor[position + 1 :]
    if changed == cursor:
        return
    # The last character of base64 has unused bits.
    if position == len(cursor) - 1:
        return
    with pytest.raises(Invalid):
        pager().read(changed, (datetime, uuid.UUID))
