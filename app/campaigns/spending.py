"""Spend of campaigns: rows of a day, an amount and a currency.

A row is never changed and never deleted. A wrong one is voided, with the reason, and the correct one added: what had
been reported at any instant can still be explained. A row with an `external_id` is stored once while it counts: the
same content again is a repeat, and another content under the same id is a conflict.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.campaigns.events import SpendRecorded, SpendVoided
from app.campaigns.models import Campaign, Spend
from app.campaigns.schemas import SpendItem
from app.campaigns.service import local_day, lock_for_update, require_counted
from app.kit.actors import Actor
from app.kit.bulk import bulk_insert, column_arrays, equals_any
from app.kit.bulk_results import parsed_item
from app.kit.db import fetch, in_workspace, now
from app.kit.errors import AppError, Conflict, Invalid, NotFound, invalid_field
from app.kit.events import publish
from app.kit.ids import uuid7
from app.kit.money import minor_units
from app.projects.models import Project

MAX_LINES: Final = 5_000
COLUMNS: Final = ("day", "amount", "currency", "note", "external_id")
REQUIRED: Final = frozenset({"day", "amount", "currency"})
_COLUMN_NAMES: Final = (
    *("workspace_id", "id", "project_id", "campaign_id", "day", "amount", "currency", "note", "external_id"),
    *("recorded_at", "voided_at", "void_reason"),
)
_INSERT: Final = bulk_insert(Spend.__table__, _COLUMN_NAMES)


async def record(
    session: AsyncSession, actor: Actor, *, campaign_id: UUID, items: Sequence[SpendItem | AppError]
) -> list[UUID | AppError]:
    """Record rows of spend; for each, in order, the id of the stored row, or why there is none."""
    campaign = await lock_for_update(session, campaign_id)
    today = local_day(now(session), (await fetch(session, Project, campaign.project_id)).timezone)
    stored = await _by_external_id(session, campaign, items)
    results: list[UUID | AppError] = []
    rows: list[dict[str, Any]] = []
    for item in items:
        result = item if isinstance(item, AppError) else _recorded(session, campaign, item, today, stored, rows)
        results.append(result)
    if rows:
        await session.execute(_INSERT, column_arrays(rows, _COLUMN_NAMES))
        for row in rows:
            audit.record(
                session,
                actor,
                "spend.record",
                project_id=campaign.project_id,
                spend_id=row["id"],
                campaign_id=campaign.id,
                after=audit.snapshot_of(Spend, row),
            )
        await publish(session, SpendRecorded(campaign.id, campaign.project_id, len(rows)))
    return results


async def void(session: AsyncSession, actor: Actor, *, campaign_id: UUID, spend_id: UUID, reason: str) -> Spend:
    """Let a row not count any more. `Conflict` where it does not already."""
    campaign = await lock_for_update(session, campaign_id)
    spend = await fetch(session, Spend, spend_id, for_update=True)
    if spend.campaign_id != campaign.id:
        raise NotFound
    if spend.voided_at is not None:
        raise Conflict("This row of spend is void already.", code="spend-voided")
    before = audit.snapshot(spend)
    spend.voided_at, spend.void_reason = now(session), reason
    await session.flush()
    audit.record(
        session,
        actor,
        "spend.void",
        project_id=spend.project_id,
        spend_id=spend.id,
        campaign_id=campaign.id,
        before=before,
        after=audit.snapshot(spend),
    )
    await publish(session, SpendVoided(campaign.id, campaign.project_id, spend.id))
    return spend


async def _by_external_id(
    session: AsyncSession, campaign: Campaign, items: Sequence[SpendItem | AppError]
) -> dict[str, dict[str, Any]]:
    """The campaign's rows that count, by their `external_id`, as far as the items name these."""
    named = sorted({item.external_id for item in items if isinstance(item, SpendItem) and item.external_id is not None})
    if not named:
        return {}
    rows = await session.execute(
        select(Spend.id, Spend.external_id, Spend.day, Spend.amount, Spend.currency, Spend.note)
        .where(in_workspace(Spend, campaign.workspace_id), Spend.campaign_id == campaign.id)
        .where(equals_any(Spend.__table__.c.external_id, named), Spend.voided_at.is_(None))
    )
    return {row.external_id: dict(row._mapping) for row in rows}


def _recorded(
    session: AsyncSession,
    campaign: Campaign,
    item: SpendItem,
    today: date,
    stored: dict[str, dict[str, Any]],
    rows: list[dict[str, Any]],
) -> UUID | AppError:
    """Add an item to the rows that are to be stored, unless it is a repeat, or impossible."""
    try:
        require_counted(campaign, item.day, "day")
        if item.day > today:
            raise invalid_field("day", "in-the-future", "This day has not come: record what was spent when it is.")
        amount = minor_units(item.amount, item.currency)
    except AppError as error:
        return error
    content = {"day": item.day, "amount": amount, "currency": item.currency, "note": item.note}
    earlier = stored.get(item.external_id) if item.external_id is not None else None
    if earlier is not None:
        if any(earlier[name] != value for name, value in content.items()):
            return Conflict(
                f"Another row of spend has the external_id {item.external_id!r}: void it first, if it is wrong.",
                code="external-id-taken",
            )
        return UUID(str(earlier["id"]))
    row: dict[str, Any] = {
        "workspace_id": campaign.workspace_id,
        "id": uuid7(),
        "project_id": campaign.project_id,
        "campaign_id": campaign.id,
        **content,
        "external_id": item.external_id,
        "recorded_at": now(session),
        "voided_at": None,
        "void_reason": None,
    }
    rows.append(row)
    if item.external_id is not None:
        stored[item.external_id] = row
    return UUID(str(row["id"]))


def from_csv(text: str) -> list[SpendItem | AppError]:
    """The rows of a CSV file with a line of column names: `COLUMNS`, of which `REQUIRED` must be there.

    Cells are separated by commas; or, as spreadsheets write where the decimal sign is a comma, by semicolons, and then
    amounts may have a decimal comma. Errors name the line. Raises `Invalid` (`invalid-csv`) where the file as a whole
    cannot be read.
    """
    reader = _reader(text)
    has_decimal_commas = reader.dialect.delimiter == ";"
    items: list[SpendItem | AppError] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        _require_header(header)
        for cells in reader:
            if not cells:
                continue  # an empty line
            if len(items) == MAX_LINES:
                raise _invalid_csv(reader.line_num, f"A file has at most {MAX_LINES} rows.")
            items.append(_of_line(reader.line_num, header, cells, has_decimal_commas=has_decimal_commas))
    except csv.Error:
        raise _invalid_csv(reader.line_num, "This is not valid CSV.") from None
    if not items:
        raise _invalid_csv(1, "The file has no rows.")
    return items


def _require_header(header: Sequence[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or len(set(header)) < len(header) or not set(header) >= REQUIRED:
        raise _invalid_csv(
            1,
            f"The first line names the columns: {', '.join(COLUMNS)}; the first three are required, each at most once.",
        )


def _of_line(
    line: int, header: Sequence[str], cells: Sequence[str], *, has_decimal_commas: bool
) -> SpendItem | AppError:
    if len(cells) != len(header):
        detail = f"Line {line} has {len(cells)} cells, and the first line names {len(header)} columns."
        return _invalid_csv(line, detail)
    # An empty cell is one that is not there.
    fields = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
    if has_decimal_commas and "amount" in fields:
        fields["amount"] = fields["amount"].replace(",", ".")
    item = parsed_item(SpendItem, fields)
    return at_line(line, item) if isinstance(item, AppError) else item


def at_line(line: int, error: AppError) -> Invalid:
    """An error of a line's, naming the line."""
    errors = [{**one, "detail": f"Line {line}: {one['detail']}"} for one in error.errors]
    return Invalid(f"Line {line}: {error.detail}", code=error.code, errors=errors)


def _invalid_csv(line: int, detail: str) -> Invalid:
    error = {"in": "body", "field": f"line {line}", "code": "invalid-csv", "detail": detail}
    return Invalid(detail if f"ine {line} " in detail else f"Line {line}: {detail}", code="invalid-csv", errors=[error])


def _reader(text: str) -> Any:
    """A reader of the file, whose separator is what the line of column names has."""
    text = text.removeprefix("\ufeff")
    names = text.partition("\n")[0]
    delimiter = ";" if ";" in names and "," not in names else ","
    return csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)


def lines_of(text: str) -> Iterator[int]:
    """The line at which each row of a valid CSV file ends, from 1."""
    reader = _reader(text)
    next(reader, None)
    for cells in reader:
        if cells:
            yield reader.line_num
