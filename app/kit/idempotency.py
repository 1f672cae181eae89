"""`Idempotency-Key`: a repeated POST gets the first answer again, and its effect happens once.

The answer is stored in the very transaction that makes the effect, before its commit: either both
are there or neither. A crash leaves nothing half done, and nothing that blocks the next try.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from fastapi import Request
from sqlalchemy import Index, LargeBinary, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from starlette.responses import Response

from app.kit.crypto import Keyring
from app.kit.db import Base, lock, now, workspace_of
from app.kit.errors import IDEMPOTENCY_KEY, Conflict, Invalid

HEADER: Final = IDEMPOTENCY_KEY
KEPT: Final = timedelta(hours=24)
KEYLESS: Final = "/hooks/"
"""POSTs below this path are a platform's: it sends no key, and each event's own id does its work."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class IdempotentAnswer(Base):
    """The first answer to a request, sealed: it may hold a secret that is shown once."""

    __tablename__ = "idempotent_answer"
    __table_args__ = (Index(None, "workspace_id", "created_at"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of the method, path and body it was given for."""
    answer: Mapped[str]
    created_at: Mapped[datetime]


class Replay(Exception):  # an answer, not an error
    """The request was answered before; `response` is that answer."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


@dataclass(slots=True)
class Claim:
    """A request's key, and the unit of work in which it is honoured."""

    key: str
    fingerprint: bytes
    session: AsyncSession | None = None


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def once(handler: Handler) -> Handler:
    """Honour the key around a route's handler, inside its unit of work."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        claim = await _claim(request)
        if claim is None:
            return await handler(request)
        request.state.idempotency = claim
        try:
            response = await handler(request)
        except Replay as replay:
            return replay.response
        if claim.session is not None:
            await _store(request, claim, response)
        return response

    return answer


def key_of(request: Request) -> str | None:
    """The request's key; `Invalid` where it cannot be one."""
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid(f"{HEADER} must be 1 to 255 visible ASCII characters.", code="invalid-idempotency-key")
    return key


async def _claim(request: Request) -> Claim | None:
    key = key_of(request)
    if key is None:
        return None
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return Claim(key, hashlib.sha256(asked + await request.body()).digest())


async def begin(request: Request, session: AsyncSession) -> None:
    """Called when a request's unit of work begins: claim its key, or answer as before.

    Raises `Replay` with the first answer, `Invalid` when the key was used for another request,
    `Conflict` while the first one is still being worked on.
    """
    claim: Claim | None = getattr(request.state, "idempotency", None)
    if claim is None:
        return
    workspace_id = workspace_of(session)
    await reserve(session, claim.key)
    stored = await session.scalar(
        select(IdempotentAnswer).where(
            IdempotentAnswer.workspace_id == workspace_id,
            IdempotentAnswer.key == claim.key,
            IdempotentAnswer.created_at > now(session) - KEPT,
        )
    )
    if stored is not None:
        if stored.fingerprint != claim.fingerprint:
            raise Invalid(
                "This Idempotency-Key was used for another request; take a new one.", code="idempotency-key-reused"
            )
        raise Replay(_load(_keyring(request).open(stored.answer)))
    claim.session = session


async def reserve(session: AsyncSession, key: str) -> None:
    """Hold a key until this unit of work ends; `Conflict` while another request holds it."""
    if not await lock(session, "idempotency", workspace_of(session), key):
        raise Conflict(
            f"A request with this {HEADER} is still being worked on.",
            code="idempotency-key-in-use",
            headers={"Retry-After": "1"},
        )


async def _store(request: Request, claim: Claim, response: Response) -> None:
    assert claim.session is not None
    kept = insert(IdempotentAnswer).values(
        workspace_id=workspace_of(claim.session),
        key=claim.key,
        fingerprint=claim.fingerprint,
        answer=_keyring(request).seal(_dump(response)),
        created_at=now(claim.session),
    )
    changed = {name: kept.excluded[name] for name in ("fingerprint", "answer", "created_at")}
    await claim.session.execute(kept.on_conflict_do_update(index_elements=["workspace_id", "key"], set_=changed))


def _keyring(request: Request) -> Keyring:
    keyring: Keyring = request.app.state.resources.keyring
    return keyring


def _dump(response: Response) -> str:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return orjson.dumps([response.status_code, headers, bytes(response.body).decode()]).decode()


def _load(text: str) -> Response:
    status, headers, body = orjson.loads(text)
    return Response(body, status_code=status, headers={**headers, "Idempotent-Replayed": "true"})


async def forget(session: AsyncSession, *, most: int) -> int:
    """Drop up to `most` answers of this workspace that are older than a day; how many there were."""
    in_workspace = IdempotentAnswer.workspace_id == workspace_of(session)
    old = (
        select(IdempotentAnswer.key)
        .where(in_workspace, IdempotentAnswer.created_at < now(session) - KEPT)
        .order_by(IdempotentAnswer.created_at)
        .limit(most)
        .with_for_update(skip_locked=True)  # one that is being renewed is not old any more
    )
    gone = await session.scalars(
        delete(IdempotentAnswer).where(in_workspace, IdempotentAnswer.key.in_(old)).returning(IdempotentAnswer.key)
    )
    return len(gone.all())
