"""What the code knows of platforms, as the documentation shows it: the matrix, and each one's facts."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from app.platforms import adapters
from app.platforms.contract import CALLS, LimitScope, TextUnit
from app.platforms.routes import Hooks, Limit, MetricSource, MetricUse, Platform, Publishing, TokenUse, describe
from app.platforms.spec import NativeChange

YES: Final = "✓"
NO: Final = "–"
ABSENT: Final = "not given"
BY_HAND: Final = "by hand"
"""Adapters can publish; the content plan does not yet."""
UNITS: Final = {
    TextUnit.CHARACTERS: "characters",
    TextUnit.UTF16: "UTF-16 units",
    TextUnit.GRAPHEMES: "graphemes",
    TextUnit.BYTES: "bytes",
}
CONCERNED: Final = {
    LimitScope.TOKEN: "token",
    LimitScope.ADDRESS: "network address of ours",
    LimitScope.APP: "application",
    LimitScope.COMMUNITY: "community or chat",
}
CHANGES: Final = {
    NativeChange.ANSWER_TO_COMMENT: "answers to comments",
    NativeChange.ANSWER_TO_MENTION: "answers to mentions",
    NativeChange.ANSWER_TO_MESSAGE: "answers to messages",
    NativeChange.COMMENT_EDITED: "comments edited",
    NativeChange.COMMENT_DELETED: "comments deleted",
    NativeChange.COMMENT_HIDDEN: "comments hidden",
    NativeChange.MENTION_EDITED: "mentions edited",
    NativeChange.MENTION_DELETED: "mentions deleted",
    NativeChange.MESSAGE_EDITED: "messages edited",
    NativeChange.MESSAGE_DELETED: "messages deleted",
    NativeChange.POST_EDITED: "own posts edited",
}
SIZES: Final = (("MiB", 2**20), ("MB", 10**6), ("kB", 10**3))
TIMES: Final = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def described_platforms() -> list[Platform]:
    """Every platform found, in the order of the keys."""
    return [describe(kind) for _, kind in sorted(adapters().items())]


# ── the matrix ────────────────────────────────────────────────────────────────────────────────────


def matrix() -> str:
    """The capability matrix, a column for each platform."""
    all_of_them = described_platforms()
    rows: list[tuple[str, Callable[[Platform], str]]] = [
        *((metric.value, _counter(metric.value)) for metric in all_of_them[0].metrics),
        ("read without a token", lambda one: _mark(one.public)),
        ("posts from before the connection", lambda one: _mark(one.history)),
        ("sends events at once", lambda one: _mark(one.capabilities.hooks or one.capabilities.stream)),
        ("who joins and who leaves", lambda one: _mark(one.counts_joins)),
        ("… through which link", lambda one: _mark(one.attributes_joins)),
        ("counters in one call", lambda one: str(one.metrics_batch) if _polled(one) else NO),
        ("… of several communities", lambda one: _mark(one.capabilities.measure_across)),
        ("answers in its own app seen", _natively_answered),
        ("customers answered", lambda one: _mark(one.replying is not None)),
        ("posts published", lambda _: BY_HAND),
        ("pictures in a post", lambda one: str(one.publishing.pictures) if one.publishing else NO),
        ("text of a post", lambda one: f"{one.text_limit:,}" if one.publishing else NO),
        ("tokens renewed", lambda one: _mark(any(token.renewed_with for token in one.tokens))),
    ]
    head = "| | " + " | ".join(one.title for one in all_of_them) + " |"
    lines = [f"| {title} | {' | '.join(cell(one) for one in all_of_them)} |" for title, cell in rows]
    return "\n".join([head, "|---|" + ":-:|" * len(all_of_them), *lines])


def _mark(there: bool) -> str:
    return YES if there else NO


def _counter(name: str) -> Callable[[Platform], str]:
    def cell(one: Platform) -> str:
        use = next(use for metric, use in one.metrics.items() if metric.value == name)
        if use.delay_hours:
            return f"{use.delay_hours:g} h late"
        return {None: NO, MetricSource.POLLED: YES}.get(use.how, str(use.how))

    return cell


def _natively_answered(one: Platform) -> str:
    """For which kinds of message, with how late at most without a hook."""
    names = {
        "comments": NativeChange.ANSWER_TO_COMMENT,
        "mentions": NativeChange.ANSWER_TO_MENTION,
        "messages": NativeChange.ANSWER_TO_MESSAGE,
    }
    parts = []
    for name, change in names.items():
        seen = one.changes[change].seen
        times = [way.within_seconds for way in seen or () if way.within_seconds is not None]
        if times:
            parts.append(f"{name} {_time(min(times))}")
    return ", ".join(parts) or NO


def _polled(one: Platform) -> bool:
    return any(use.how is MetricSource.POLLED for use in one.metrics.values())


# ── one platform's facts ──────────────────────────────────────────────────────────────────────────


def facts(one: Platform) -> str:
    """A table of what is known of one platform."""
    rows = {
        "API": one.api_version,
        "Tokens": "<br>".join(_token(token) for token in one.tokens),
        "Without a token": "size and posts" if one.public else "nothing",
        "`INSTEP_PLATFORM_APPS`": _names(one.app_settings) or "nothing",
        "Hook": _hook(one.hooks),
        "Counters": _counters(one),
        "Counters in one call": f"{one.metrics_batch} posts{_across(one)}" if _polled(one) else "cannot be polled",
        "Before the connection": "is read" if one.history else "cannot be read",
        "A post": _post(one),
        "An answer": _answer(one),
        "What is done on the platform": _changes(one),
        "Limits kept to": "<br>".join(_limit(limit) for limit in one.limits),
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _changes(one: Platform) -> str:
    """What is seen of it, changes that are seen alike in one line; those that there are not are left out."""
    by_text: defaultdict[str, list[str]] = defaultdict(list)
    for change, use in one.changes.items():
        if use.seen is not None:
            by_text[use.text].append(CHANGES[change])
    return "<br>".join(f"{', '.join(names)}: {text}" for text, names in by_text.items())


def _token(one: TokenUse) -> str:
    said = f"`{one.kind}`"
    if one.scopes:
        said += f": {_names(one.scopes)}"
    if one.renewed_with:
        others = ["itself" if other is one.kind else f"`{other}`" for other in one.renewed_with]
        said += f" (renewed with {' or '.join(others)})"
    return said


def _hook(one: Hooks | None) -> str:
    if one is None:
        return "none: it sends no events"
    scope = "one address for all communities of an application" if one.of_app else "an address for each community"
    setting = "set at the platform by itself" if one.sets_itself else "entered at the platform by a person"
    return f"{scope}, {setting}; secrets: {_names(one.secrets)}"


def _counters(one: Platform) -> str:
    groups = defaultdict(list)
    for metric, use in one.metrics.items():
        groups[_availability(use)].append(metric.value)
    parts = sorted(groups.items(), key=lambda part: (part[0] == ABSENT, part[0]))
    return "; ".join(f"{how}: {', '.join(some)}" if how else ", ".join(some) for how, some in parts)


def _availability(use: MetricUse) -> str:
    if use.delay_hours:
        return f"{use.delay_hours:g} h late"
    return {
        MetricSource.POLLED: "",
        MetricSource.PUSHED: "known from events alone",
        MetricSource.COUNTED: "counted by us, from events",
        None: ABSENT,
    }[use.how]


def _across(one: Platform) -> str:
    return ", of several communities" if one.capabilities.measure_across else ""


def _post(one: Platform) -> str:
    if one.publishing is None:
        return "cannot be published"
    return f"{one.text_limit:,} {UNITS[one.text_unit]}; {_pictures(one, one.publishing)}; " + _repeats(
        one.publishing.remembered_seconds
    )


def _pictures(one: Platform, may: Publishing) -> str:
    if not may.pictures:
        return "no pictures"
    types = ", ".join(kind.removeprefix("image/").upper() for kind in may.picture_types)
    size = f"each up to {_bytes(may.picture_bytes)}{', from a public address' if may.by_url else ''}"
    said = f"{'up to' if may.text_alone else '1 to'} {may.pictures} pictures ({types}), {size}"
    if may.caption_limit != one.text_limit:
        said += f", with {may.caption_limit:,} {UNITS[one.text_unit]} at most"
    return said


def _answer(one: Platform) -> str:
    if one.replying is None:
        return "cannot be sent"
    limit = f"{one.replying.text_limit:,} {UNITS[one.text_unit]}"
    if (message := f"{one.replying.message_limit:,} {UNITS[one.replying.message_unit]}") != limit:
        limit += f", a direct message {message}"
    may = one.replying
    if may.window_seconds is not None and may.person_window_seconds is not None:
        limit += (
            f"; to a direct message within {_time(may.window_seconds)}, a person's {_time(may.person_window_seconds)}"
        )
    return f"{limit}; {_repeats(may.remembered_seconds)}"


def _repeats(seconds: int | None) -> str:
    return "a repeat would appear twice" if seconds is None else f"a repeat within {_time(seconds)} is dropped"


def _limit(one: Limit) -> str:
    what = CALLS if one.name == CALLS else f"`{one.name}`"
    whom = f"`{one.token}` token" if one.token and one.scope is LimitScope.TOKEN else CONCERNED[one.scope]
    also = f", with `{one.token}` tokens" if one.token and one.scope is not LimitScope.TOKEN else ""
    return f"{one.calls:,} {what} in {_time(one.seconds)} for each {whom}{also}"


def _names(some: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in some)


def _bytes(count: int) -> str:
    unit, size = next((unit, size) for unit, size in SIZES if count % size == 0)
    return f"{count // size} {unit}"


def _time(seconds: int) -> str:
    unit, length = next((unit, length) for unit, length in TIMES if seconds % length == 0)
    count = seconds // length
    return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
