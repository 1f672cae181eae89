"""`Idempotency-Key`: a repeated POST gets the first response again, and takes effect once.

The response is stored in the transaction that makes the change: both are committed, or neither. A crash
leaves nothing half done, and nothing that blocks the next attempt.
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
from app.kit.db import Base, now, try_lock, workspace_of
from app.kit.errors import IDEMPOTENCY_KEY, Conflict, Invalid

HEADER: Final = IDEMPOTENCY_KEY
RETENTION: Final = timedelta(hours=24)
"""How long a response is stored."""
EXEMPT_PREFIX: Final = "/hooks/"
"""POSTs below this path come from platforms, which send no key: events are deduplicated by their own ids."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class IdempotentAnswer(Base):
    """The first response to a request, encrypted: it may hold a secret that is shown once."""

    __tablename__ = "idempotent_answer"
    __table_args__ = (Index(None, "workspace_id", "created_at"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of the request's method, path, query and body."""
    answer: Mapped[str]
    created_at: Mapped[datetime]


class Replay(Exception):  # a response, not an error
    """The request is a repeat; `response` is the stored first response."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


@dataclass(slots=True)
class KeyClaim:
    """A request's key, and the session that has claimed it (None until then)."""

    key: str
    fingerprint: bytes
    session: AsyncSession | None = None


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def once(handler: Handler) -> Handler:
    """Wrap a route's handler: replay the stored response of a repeat, store the first response of a key."""

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
    """The request's key, None without one; `Invalid` where it is malformed."""
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid(f"{HEADER} must be 1 to 255 visible ASCII characters.", code="invalid-idempotency-key")
    return key


async def _claim(request: Request) -> KeyClaim | None:
    key = key_of(request)
    if key is None:
        return None
    request_line = f"{request.method} {request.scope['path']}?".encode() + request.scope["query_string"] + b"\n"
    return KeyClaim(key, hashlib.sha256(request_line + await request.body()).digest())


async def begin(request: Request, session: AsyncSession) -> None:
    """Claim the request's key at the beginning of its transaction.

    Raises `Replay` with the first response, `Invalid` where the key was used for another request,
    `Conflict` while another request with the key is being processed.
    """
    claim: KeyClaim | None = getattr(request.state, "idempotency", None)
    if claim is None:
        return
    workspace_id = workspace_of(session)
    await reserve(session, claim.key)
    stored = await session.scalar(
        select(IdempotentAnswer).where(
            IdempotentAnswer.workspace_id == workspace_id,
            IdempotentAnswer.key == claim.key,
            IdempotentAnswer.created_at > now(session) - RETENTION,
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
    """Lock a key until this transaction ends; `Conflict` while another request holds the lock."""
    if not await try_lock(session, "idempotency", workspace_of(session), key):
        raise Conflict(
            f"A request with this {HEADER} is still being worked on.",
            code="idempotency-key-in-use",
            headers={"Retry-After": "1"},
        )


async def _store(request: Request, claim: KeyClaim, response: Response) -> None:
    assert claim.session is not None
    inserted = insert(IdempotentAnswer).values(
        workspace_id=workspace_of(claim.session),
        key=claim.key,
        fingerprint=claim.fingerprint,
        answer=_keyring(request).seal(_dump(response)),
        created_at=now(claim.session),
    )
    updated = {name: inserted.excluded[name] for name in ("fingerprint", "answer", "created_at")}
    await claim.session.execute(inserted.on_conflict_do_update(index_elements=["workspace_id", "key"], set_=updated))


def _keyring(request: Request) -> Keyring:
    keyring: Keyring = request.app.state.resources.keyring
    return keyring


def _dump(response: Response) -> str:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return orjson.dumps([response.status_code, headers, bytes(response.body).decode()]).decode()


def _load(text: str) -> Response:
    status, headers, body = orjson.loads(text)
    return Response(body, status_code=status, headers={**headers, "Idempotent-Replayed": "true"})


async def delete_expired(session: AsyncSession, *, limit: int) -> int:
    """Delete up to `limit` responses of this workspace that are older than `RETENTION`; the number deleted."""
    in_this_workspace = IdempotentAnswer.workspace_id == workspace_of(session)
    expired = (
        select(IdempotentAnswer.key)
        .where(in_this_workspace, IdempotentAnswer.created_at < now(session) - RETENTION)
        .order_by(IdempotentAnswer.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)  # a locked one is being replaced by a new response
    )
    deleted = await session.scalars(
        delete(IdempotentAnswer)
        .where(in_this_workspace, IdempotentAnswer.key.in_(expired))
        .returning(IdempotentAnswer.key)
    )
    return len(deleted.all())
