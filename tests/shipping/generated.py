"""The parts of the documentation that the code itself knows.

`python -m tests.shipping.generated` writes them; a test compares the files with them.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.access.models import Role, Seat
from app.access.permissions import ROLES, SEATS, Permission
from app.communities.inbound.routes import MAX_BYTES
from app.kit import deadlines
from app.kit.server import Limits
from app.kpis import all_kpis
from app.kpis.contract import Kpi
from app.kpis.values import AddsUp
from app.main import operations
from app.settings import Settings
from tests.shipping import error_codes, goals, platforms

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = """\
Written from the catalogue by `python -m tests.shipping.generated`; `GET /v1/kpis` says the same.
A value that is not known is null with a reason, never 0; a value of which some inputs are missing
is `partial`, and its `coverage` names them."""
COMPARED = """\
`previous.change` compares the window with as many days before it, where the same is known of both. Where it is not, as
in the first weeks after a connection, or where a community was disconnected, it is null and `change_reason` says why:
what a backfill has not read, and what another community brings, is no growth. A platform that tells its figures late
(`pending`) takes the comparison with the last days away: let the window end three days ago. What grows with the days
is not compared before all days of the window have come (`not-yet`)."""
PERMISSIONS = """\
Every operation needs one permission. It is declared where the operation is routed, and is `x-permission` in the
OpenAPI. Owners and admins of a workspace have all permissions (owners alone make and unmake owners). A member has
those of their seats, in the projects of these seats, and does not see any other project; operations about nobody's
project in particular that every member may do are `yes` in each column. An API key has the permissions that it was
given, within those that its owner has at the moment.

A credential without the permission is refused with 403: `missing-seat` or `missing-role` for a person, with the seats
that have it and who can give them, `missing-permission` for an API key. What is in a project that one does not see
is answered like what does not exist, with 404.

Written from the code by `python -m tests.shipping.generated`."""
BARE = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}


def variable(field: str) -> str:
    """The environment's name of a setting."""
    return BARE.get(field, f"INSTEP_{field.upper()}")


def docstrings(kind: type) -> dict[str, str]:
    """The docstring of each field of a class."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for field, doc in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(doc, ast.Expr):
            assert isinstance(doc.value, ast.Constant)
            docs[field.target.id] = " ".join(str(doc.value.value).split())
    return docs


def default(field: FieldInfo) -> str:
    """A setting's default as the environment would give it; empty where there is none."""
    value = field.get_default(call_default_factory=True)
    if field.is_required() or value is None or value == []:
        return ""
    if isinstance(value, list):
        return ",".join(part.get_secret_value() if isinstance(part, SecretStr) else part for part in value)
    return json.dumps(value) if isinstance(value, dict) else str(value)


def choices(annotation: Any) -> str:
    """A setting's possible values, where they are few."""
    return ", ".join(f"`{one}`" for one in get_args(annotation)) if get_origin(annotation) is Literal else ""


def settings() -> Iterator[tuple[str, str, str]]:
    """Variable, default and meaning of each setting."""
    docs = docstrings(Settings)
    for name, field in Settings.model_fields.items():
        meaning = f"{docs[name]} {'One of: ' if (few := choices(field.annotation)) else ''}{few}".strip()
        yield variable(name), "required" if field.is_required() else default(field), meaning


def settings_table() -> str:
    """For docs/settings.md."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, value, meaning in settings():
        default = {"required": "required", "": "none"}.get(value, f"`{value}`")
        if name == "INSTEP_SECRET_KEYS":
            default = "a key everybody knows"
        rows.append(f"| `{name}` | {default} | {meaning} |")
    return "\n".join(rows)


def settings_example() -> str:
    """For .env.example: every line a comment."""
    lines = []
    for name, value, meaning in settings():
        default = "" if value == "required" or name == "INSTEP_SECRET_KEYS" else value
        lines += [*textwrap.wrap(meaning, 94, initial_indent="# ", subsequent_indent="# "), f"# {name}={default}", ""]
    return "\n".join(lines).rstrip()


def kpis() -> str:
    """The catalogue as a page."""
    lines = [
        "# The KPIs",
        "",
        WRITTEN,
        "",
        COMPARED,
    ]
    goal = None
    for kpi in all_kpis().values():
        if kpi.goal != goal:
            goal = kpi.goal
            lines += ["", f"## {goal.value.capitalize()}"]
        lines += ["", *_kpi(kpi)]
    return "\n".join(lines) + "\n"


_OVER_TIME: Final = {
    AddsUp.FLOW: "a flow: the values of days, and of communities, add up to the whole",
    AddsUp.STOCK: "a stock: the value of the last day is that of the whole",
    AddsUp.RATIO: "a ratio: the values of days do not make that of the whole, which is computed from all its inputs",
}


def _kpi(kpi: Kpi) -> Iterator[str]:
    yield f"### `{kpi.key}` — {kpi.title}"
    yield ""
    yield f"{kpi.doc.formula}"
    yield ""
    direction = kpi.direction.replace("_", " ")
    yield f"- Formula: `{kpi.doc.symbols}`, in {kpi.unit.value}, version {kpi.version}; {direction}"
    grows = "; it grows with the days: compare windows of one length" if kpi.accrues else ""
    yield f"- Over time: {_OVER_TIME[kpi.adds_up]}{grows}"
    for variant in kpi.variants:
        yield f"- Beside each value, in `variants`: `{variant.key}` — {variant.title}"
    yield f"- Source: {kpi.doc.source}"
    yield f"- Recount by hand: {kpi.doc.recount}"
    for caveat in kpi.doc.caveats:
        yield f"- Mind: {caveat}"


def permissions() -> str:
    """Operations and what they need, as a page."""
    lines = [
        "# Permissions",
        "",
        PERMISSIONS,
        "",
        "| Operation | Request | Permission | " + " | ".join(seat.value for seat in Seat) + " |",
        "|---|---|---|" + "---|" * len(Seat),
    ]
    routes = sorted(operations(), key=lambda route: (route.permission is None, str(route.operation_id)))
    for route in routes:
        call = f"`{', '.join(sorted(route.methods or ()))} {route.path_format}`"
        if route.permission is None:
            lines.append(f"| `{route.operation_id}` | {call} | none: it is public |" + " yes |" * len(Seat))
        else:
            permission = Permission(route.permission)
            held = ("yes" if permission in ROLES[Role.MEMBER] | SEATS[seat] else "no" for seat in Seat)
            lines.append(f"| `{route.operation_id}` | {call} | `{route.permission}` | {' | '.join(held)} |")
    return "\n".join(lines) + "\n"


def limits() -> str:
    """How long is waited, and how much is taken, for docs/operations.md."""
    server, requests, jobs = Limits(), deadlines.REQUESTS, deadlines.JOBS
    rows = [
        "| Wait for PostgreSQL | Requests | Jobs | Then |",
        "|---|---|---|---|",
        *(
            f"| {what} | {getattr(requests, name):g} s | {getattr(jobs, name):g} s | {then} |"
            for name, what, then in (
                ("connect", "a new connection", "`database-away`"),
                ("pool", "a connection of the pool, while all are in use", "`database-away`"),
                ("lock", "a lock that another transaction holds", "`busy`"),
                ("statement", "a statement, ended by the server", "`database-away`"),
                ("silence", "any answer of the server", "`database-away`; the connection is given up"),
                ("idle", "the next statement of an open transaction", "the server ends the transaction"),
            )
        ),
        "",
        "| What a client may send | Limit | Then |",
        "|---|---|---|",
        f"| the request line with all headers | {server.head // 1024} KiB | 431 `head-too-large` |",
        (
            f"| a body | {Settings.model_fields['max_body_bytes'].default // 1024} KiB, `INSTEP_MAX_BODY_BYTES` "
            "| 413 `body-too-large` |"
        ),
        f"| a platform's call of a hook | {MAX_BYTES // 1024} KiB | 413 `body-too-large` |",
        f"| a head, from its first byte | {server.head_seconds:g} s | 408 `request-timeout` |",
        (
            f"| a body | {server.body_seconds:g} s, and 1 s for each {server.body_rate:,} bytes that have arrived "
            "| 408 `request-timeout` |"
        ),
        f"| reading an answer | {server.send_seconds:g} s without reading any of it | the connection is closed |",
    ]
    return "\n".join(rows)


def within(text: str, name: str, block: str, start: str = "<!-- {} -->", end: str = "<!-- end of {} -->") -> str:
    """`text` with the block between its two marks renewed."""
    opening, closing = start.format(name), end.format(name)
    before, opened, rest = text.partition(opening)
    _, ended, after = rest.partition(closing)
    assert opened, f"no mark {opening}"
    assert ended, f"no mark {closing}"
    return f"{before}{opening}\n{block}\n{closing}{after}"


def files() -> dict[str, str]:
    """Each file that has generated parts, as it should be."""
    settings_page = within((ROOT / "docs/settings.md").read_text(), "settings", f"\n{settings_table()}\n")
    page = within((ROOT / "docs/platforms.md").read_text(), "platforms", f"\n{platforms.matrix()}\n")
    for one in platforms.described_platforms():
        page = within(page, one.key, f"\n{platforms.facts(one)}\n")
    example = (ROOT / ".env.example").read_text()
    example = within(example, "settings", f"\n{settings_example()}\n", "# --- {} ---", "# --- end of {} ---")
    operations_page = within((ROOT / "docs/operations.md").read_text(), "limits", f"\n{limits()}\n")
    goals_page = (ROOT / "docs/goals.md").read_text()
    goals_page = within(goals_page, "example of a goal", f"\n{goals.goal_example()}\n")
    goals_page = within(goals_page, "example of a correction", f"\n{goals.correction_example()}\n")
    return {
        "docs/goals.md": goals_page,
        "docs/operations.md": operations_page,
        "docs/settings.md": settings_page,
        ".env.example": example,
        "docs/platforms.md": page,
        "docs/kpis.md": kpis(),
        "docs/permissions.md": permissions(),
        "docs/errors.md": error_codes.page(),
    }


if __name__ == "__main__":
    for path, text in files().items():
        (ROOT / path).write_text(text)
