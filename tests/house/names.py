"""Words that names must not contain: `python -m tests.house.names` prints the names that do.

A name is what a file defines: a class, function, parameter, variable, attribute (and so a column, and a field of the
API), an alias of an import, a module, a table, a metric. The name of a test is a sentence, and none of these.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
AREAS: Mapping[str, tuple[str, ...]] = {
    "code": ("app", "workers", "sandbox", "migrations"),
    "tests": ("tests", "benchmarks"),
}


@dataclass(frozen=True)
class Word:
    """A refused word, and its replacement."""

    say: str
    within: bool = True
    """Whether it is refused as a part of a name too (`is_told`), or as a whole name alone (`Line`)."""
    where: tuple[str, ...] = ()
    """The folders in which it is refused; everywhere if empty. Its tests' folder is one of them."""


class Name(NamedTuple):
    """A name where it is defined."""

    path: str
    line: int
    name: str


def _whole(say: str, *where: str) -> Word:
    return Word(say, within=False, where=where)


def _part(say: str, *where: str) -> Word:
    return Word(say, within=True, where=where)


RULES: Mapping[str, Word] = {
    # kit and access
    "have": _whole("resources"),
    "Have": _whole("ResourcesDep"),
    "Work": _whole("SessionDep"),
    "Glance": _part("ReadDep"),
    "Founding": _part("SignUpSessionDep"),
    "looking": _part("read_session"),
    "reading": _whole("read_connection", "kit", "access"),
    "mine": _part("in_workspace"),
    "Again": _whole("Reschedule"),
    "Later": _whole("Snooze"),
    "Fatal": _whole("Cancel"),
    "rounds": _part("scheduler"),
    "beat": _part("heartbeat"),
    "garbage": _part("gc_freeze"),
    "Directory": _whole("RouteIndex"),
    "Direct": _whole("RawRoute"),
    "mighty": _part("privileged, unprivileged"),
    "words": _part("i18n, or text"),
    "Doorkeeper": _part("Authenticator"),
    "admit": _part("authenticate"),
    # communities and platforms
    "told": _part("payload, pushed"),
    "telling": _part("InboundEvent"),
    "happened": _part("occurred_at"),
    "look": _part("metrics_poll, or poll", "communities", "platforms", "metrics"),
    "looks": _part("metrics_poll_code, …_reason, …_failures"),
    "stretch": _part("interval_multiplier"),
    "lane": _part("metrics_group"),
    "still": _part("unchanged_polls"),
    "Meter": _part("RateLimiter"),
    "Budget": _whole("RateLimit"),
    "budget": _part("rate limit", "communities", "platforms", "kit"),
    "Charge": _part("RequestCost", "communities", "platforms"),
    "Allowance": _part("RateLimitKey", "communities", "platforms"),
    "Left": _whole("RateRemaining"),
    "Line": _whole("PlatformClient"),
    "open_line": _whole("platform_client"),
    "fresh": _part("with_valid_tokens", "communities"),
    "mended": _part("reauthorised"),
    "Desk": _part("InboundIngest"),
    "Home": _whole("InboundTarget"),
    "home": _part("InboundTarget", "communities"),
    "Known": _whole("known what: WebhookRegistration"),
    "known": _whole("known what"),
    "Memory": _whole("a cache of kit/cache"),
    "odd": _part("unparsed"),
    "understood": _part("unparsed_events"),
    "unheard": _part("inbound_gaps"),
    "heard": _part("dataset (kpis), newly_received (events)"),
    "missed": _part("InboundGap", "communities"),
    "Place": _whole("CommunityRef, SortKey, …"),
    "Waiting": _whole("waiting for what"),
    "MOST": _whole("the most of what"),
    "walk": _part("Paginator"),
    "walks": _part("Paginator"),
    "Tree": _whole("the kind of Paginator"),
    "Mail": _whole("the kind of Paginator"),
    "shapes": _part("wire_models"),
    "Means": _whole("ErrorMeaning"),
    # kpis and inquiries
    "Asked": _whole("LoadRequest"),
    "Question": _whole("KpiQuery"),
    "gathered": _part("baseline"),
    "gained_plainly": _whole("one path instead of two"),
    "Course": _whole("ConversationState"),
    "Turn": _whole("StatusChange"),
    "Said": _whole("DeliveredMessage"),
    "hold": _part("lock_for_update, lock_threads"),
    "holding": _part("lock_for_update, lock_threads"),
    # everywhere
    "found": _whole("what was found"),
    "wanted": _part("requested"),
    "chosen": _part("selected"),
    "given": _part("supported, params"),
    "asked": _part("params, requested"),
    "shown": _part("visible"),
    "who": _part("actor"),
    "whose": _part("owner"),
    "us": _part("own_account_ids"),
    "top": _whole("root_message"),
    "newest": _part("latest"),
    "Words": _whole("StorableText"),
    "ShownCount": _whole("PositiveCount"),
    "Way": _whole("GraphAccess"),
    "Held": _whole("StoredTokens"),
    "Kept": _whole("UpsertResult"),
    "Granted": _whole("IssuedToken"),
    "Sent": _whole("SendReceipt"),
    "Draft": _whole("OutgoingPost"),
    "abilities": _part("capabilities"),
    "understand": _part("parse_event"),
    "pace": _part("poll_schedule", "communities", "links", "cli", "platforms"),
    "Round": _whole("PollSchedule"),
    "PATIENCE": _part("WAIT_TIMEOUT"),
    "lifeline": _part("parent_watch"),
    "corrections": _part("adjustments", "kpis"),
    "baseline": _part("pre_tracking", "metrics"),
    "right": _part("permission, usage_rights", "access", "content"),
    "rights": _part("permissions, usage_rights", "access"),
    "share_link": _whole("client_link"),
}
"""By the word; one in lower case is refused in any case."""

EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("app/kit/route_index.py", "shapes"): "of paths: how many segments, and which of them are parameters",
    ("app/kit/route_index.py", "_shapes"): "of paths: how many segments, and which of them are parameters",
    ("app/kpis/values.py", "GATHERED_BEFORE_CONNECTION"): "a reason of the API, of what counters had before",
    ("sandbox/server.py", "_beat"): "of the sandbox's simulated time, not of a worker",
}
"""A prefix of a path and a name in it that may stay, and why."""

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def parts(name: str) -> list[str]:
    """The words of a name, in lower case: `HTTPError`, `http_error` and `httpError` are the same two."""
    return [part.lower() for part in _PARTS.findall(name)]


def _parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None)


def _of_node(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The names that one node of a syntax tree defines."""
    match node:
        case ast.ClassDef():
            yield node.lineno, node.name
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            if not node.name.startswith("test_"):
                yield node.lineno, node.name
            yield from ((one.lineno, one.arg) for one in _parameters(node.args))
        case ast.Lambda():
            yield from ((one.lineno, one.arg) for one in _parameters(node.args))
        case ast.Name(ctx=ast.Store()):
            yield node.lineno, node.id
        case ast.Attribute(ctx=ast.Store()):
            yield node.lineno, node.attr
        case ast.alias() if node.asname is not None:
            yield node.lineno, node.asname
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name is not None:
            yield node.lineno, node.name
        case ast.Assign(targets=[ast.Name(id="__tablename__")], value=ast.Constant(value=str(table))):
            yield node.lineno, table
        case ast.Call(func=ast.Attribute(attr="Column" | "create_table"), args=[ast.Constant(value=str(text)), *_]):
            yield node.lineno, text
        case ast.Constant(value=str(text)) if re.fullmatch(r"instep_[a-z_]+", text):
            yield node.lineno, text


def names(path: str, source: str) -> list[Name]:
    """What a file defines: its own name first."""
    stem = Path(path).stem
    module = [] if stem.startswith(("__init__", "test_")) else [Name(path, 0, stem)]
    defined = {Name(path, line, name) for node in ast.walk(ast.parse(source)) for line, name in _of_node(node)}
    return [*module, *sorted(defined)]


@cache
def _rules(folder: Path) -> tuple[frozenset[str], Mapping[str, str]]:
    """The words that are refused in a folder as whole names; and those that are as parts, by their lower case."""
    applying = {word: rule for word, rule in RULES.items() if not rule.where or set(folder.parts) & set(rule.where)}
    return (
        frozenset(word for word, rule in applying.items() if not rule.within),
        {word.lower(): word for word, rule in applying.items() if rule.within},
    )


def refused(name: Name) -> set[str]:
    """The words for which a name is refused."""
    if any(name.path.startswith(path) and name.name == excepted for path, excepted in EXCEPTIONS):
        return set()
    whole, within = _rules(Path(name.path).parent)
    return ({name.name.strip("_")} & whole) | {within[part] for part in parts(name.name) if part in within}


def everywhere(area: str, root: Path = ROOT) -> Iterator[Name]:
    """All names of an area."""
    for folder in AREAS[area]:
        for path in sorted((root / folder).rglob("*.py")):
            yield from names(path.relative_to(root).as_posix(), path.read_text())


def standing(area: str, root: Path = ROOT) -> dict[str, list[Name]]:
    """The names that contain a refused word, by the word."""
    by_word: dict[str, list[Name]] = {}
    for name in everywhere(area, root):
        for word in refused(name):
            by_word.setdefault(word, []).append(name)
    return by_word


def complaints(area: str, root: Path = ROOT) -> list[str]:
    """What is wrong with the names of an area."""
    return [
        f"{name.path}:{name.line} {name.name}: for {word!r} say {RULES[word].say}"
        for word, at in sorted(standing(area, root).items())
        for name in at
    ]


def main() -> int:
    """Print the names that contain a refused word; 1 where there are any."""
    all_complaints = [complaint for area in AREAS for complaint in complaints(area)]
    sys.stdout.writelines(f"{complaint}\n" for complaint in all_complaints)
    return 1 if all_complaints else 0


if __name__ == "__main__":
    sys.exit(main())
