"""How the deadlines of an inquiry come about: which working time of which days leads to them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from app.inquiries.deadline_schemas import DeadlineDay, DeadlineRead, InquiryDeadlines, NoDeadline, WorkingPeriod
from app.inquiries.models import DueTarget, InquiryStatus
from app.inquiries.reads import is_overdue
from app.inquiries.waits import due_at, resolution_due_at
from app.kit.i18n import translate
from app.projects.hours import DayRule, WorkingHours, working_days, working_seconds
from app.projects.schemas import Opening
from app.projects.service import WorkCalendar

MOST_DAYS: Final = timedelta(days=399)
"""Longer is a deadline's way only where nobody worked for more than a year."""

_CLOSED: Final = {
    DayRule.HOLIDAY: "Closed: a holiday.",
    DayRule.SPECIAL: "Closed: a special day without hours.",
    DayRule.WEEK: "Closed: a day off by the weekly hours.",
}
_BEGAN_AFTER: Final = "Nothing counts: it began after the working hours."
_BEGAN_WITHIN: Final = "Counted from when it began."
_DUE_BEFORE: Final = "Nothing counts: it was due before the working hours."
_DUE_WITHIN: Final = "Counted until it is due."
_BOTH_WITHIN: Final = "Counted from when it began until it is due."
_NO_TARGET: Final = "No target held on the day on which it began."
_NO_WORKING_TIME: Final = "The working hours of the next 400 days are shorter than the target."


def of_inquiry(inquiry: Any, waits: Sequence[Any], work: WorkCalendar, at: datetime, language: str) -> InquiryDeadlines:
    """What is owed as of `at`, by the inquiry's row and those of its waits, oldest first; texts in this language."""
    owed = [
        _deadline(DueTarget.FIRST_RESPONSE, wait.started_at, wait.due_at, work, at, language)
        for wait in waits
        if wait.ended_at is None
    ]
    if inquiry.status != InquiryStatus.RESOLVED.value:
        opening = [wait for wait in waits if wait.opening]
        owed += [
            _deadline(DueTarget.RESOLUTION, wait.started_at, wait.resolution_due_at, work, at, language)
            for wait in opening[-1:]
        ]
    return InquiryDeadlines(
        inquiry_id=inquiry.id,
        as_of=at,
        timezone=work.zone.key,
        due_at=inquiry.due_at,
        due_target=inquiry.due_target,
        overdue=is_overdue(inquiry.due_at, at),
        deadlines=owed,
    )


def _deadline(
    target: DueTarget, start: datetime, due: datetime | None, work: WorkCalendar, at: datetime, language: str
) -> DeadlineRead:
    version = work.targets.on(start.astimezone(work.zone).date())
    if target is DueTarget.FIRST_RESPONSE:
        minutes = version.first_response_minutes if version is not None else None
        by_present_hours = due_at(start, work)
    else:
        minutes = version.resolution_minutes if version is not None else None
        by_present_hours = resolution_due_at(start, work)
    no_deadline = None
    if due is None:
        code, detail = ("no-target", _NO_TARGET) if minutes is None else ("no-working-time", _NO_WORKING_TIME)
        no_deadline = NoDeadline.model_validate({"code": code, "detail": translate(detail, language)})
    return DeadlineRead(
        target=target,
        started_at=start,
        target_minutes=minutes,
        target_holds_from=version.holds_from if version is not None and minutes is not None else None,
        due_at=due,
        overdue=is_overdue(due, at),
        no_deadline=no_deadline,
        working_seconds_left=working_seconds(at, due, work.hours, work.zone) if due is not None else None,
        working_seconds_overdue=working_seconds(due, at, work.hours, work.zone) if due is not None else None,
        hours_changed=due != by_present_hours,
        days=_days(start, due, work, language) if due is not None else [],
    )


def _days(start: datetime, due: datetime, work: WorkCalendar, language: str) -> list[DeadlineDay]:
    days = working_days(max(start, due - MOST_DAYS), due, work.hours, work.zone)
    return [
        _day(day, periods, work.hours, language, is_first=number == 0, is_last=number == len(days) - 1)
        for number, (day, periods) in enumerate(days)
    ]


def _day(
    day: date,
    periods: Sequence[tuple[datetime, datetime]],
    hours: WorkingHours,
    language: str,
    *,
    is_first: bool,
    is_last: bool,
) -> DeadlineDay:
    lengths = [int((until - since).total_seconds()) for since, until in periods]
    note = _note(day, sum(lengths), hours, is_first=is_first, is_last=is_last)
    return DeadlineDay(
        day=day,
        rule=hours.rule(day),
        hours=[Opening.model_validate(opening) for opening in hours.written(day)],
        periods=[
            WorkingPeriod(since=since, until=until, seconds=length)
            for (since, until), length in zip(periods, lengths, strict=True)
        ],
        seconds=sum(lengths),
        note=translate(note, language) if note is not None else None,
    )


def _note(day: date, seconds: int, hours: WorkingHours, *, is_first: bool, is_last: bool) -> str | None:
    openings = hours.on(day)
    if not openings:
        return _CLOSED[hours.rule(day)]
    if seconds == 60 * sum(closes - opens for opens, closes in openings) or not (is_first or is_last):
        return None
    if seconds == 0:
        return _BEGAN_AFTER if is_first else _DUE_BEFORE
    if is_first and is_last:
        return _BOTH_WITHIN
    return _BEGAN_WITHIN if is_first else _DUE_WITHIN
