"""`instep audit verify`: whether the record of changes is what was written."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

from app.access import service
from app.access.audit.verification import Head, Report
from app.access.audit.verification import verify as verify_workspace
from app.cli.console import console, say
from app.cli.options import CommandFailed
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.deadlines import JOBS
from app.settings import Settings


async def verify(settings: Settings, *, workspace: UUID | None, heads: Sequence[Head]) -> list[Report]:
    """A report of each workspace, or of one.

    Raises:
        CommandFailed: there is no such workspace.
    """
    keyring, database = Keyring(settings.secret_keys), Database(settings.database_url, pool=1, deadlines=JOBS)
    try:
        async with database.transaction(None) as session:
            workspaces = sorted(await service.workspaces(session))
        if workspace is not None and workspace not in workspaces:
            raise CommandFailed(
                f"there is no workspace {workspace}; `instep workspaces list` shows those that there are"
            )
        reports = []
        for workspace_id in workspaces if workspace is None else [workspace]:
            async with database.read_connection(workspace_id) as connection:
                reports.append(await verify_workspace(connection, keyring, workspace_id, exported=heads))
        return reports
    finally:
        await database.close()


def exported_heads(file: Path | None) -> list[Head]:
    """The heads in a file: answers of `GET /v1/audit/heads`, one after the other, or lists of heads.

    Raises:
        CommandFailed: it is not there, or holds something else.
    """
    if file is None:
        return []
    try:
        heads: list[Head] = []
        text, decoder = file.read_text().strip(), json.JSONDecoder()
        while text:
            value, end = decoder.raw_decode(text)
            text = text[end:].lstrip()
            heads += [_head(one) for one in (value["data"] if isinstance(value, dict) else value)]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise CommandFailed(f"{file} holds no heads as `GET /v1/audit/heads` answers them: {problem}") from None
    return heads


def _head(value: dict[str, Any]) -> Head:
    return Head(
        UUID(value["workspace_id"]),
        date.fromisoformat(value["day"]),
        int(value["sequence"]),
        bytes.fromhex(value["hash"]),
    )


def show(reports: Sequence[Report], *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        print(json.dumps([asdict(report) for report in reports], default=str, ensure_ascii=False, indent=2))
        return
    for report in reports:
        mark = "[red]✗[/]" if report.faults else "[green]✓[/]"
        say(
            mark,
            f"{report.workspace_id}: {report.entries} entries in the chain, {report.unchained} waiting for it, "
            f"{report.heads} heads",
        )
        for fault in report.faults:
            place = " ".join(
                text
                for text, value in (
                    (f"link {fault.sequence}", fault.sequence),
                    (f"entry {fault.entry_id}", fault.entry_id),
                )
                if value is not None
            )
            say(f"  [red]{fault.kind.value}[/]", f"{place}{': ' if place else ''}{fault.detail}", indent=4)
        if report.more_faults:
            console.print(f"  … and {report.more_faults} more")
    if not reports:
        console.print("no agency has signed up yet: there is nothing to verify")
