"""How many sign-ins may fail, for each account and each source, without locking anybody out.

Failures are counted in windows: of an account from one source, of a source, and of an account from all sources
where it never was signed in. The last one ends guessing from many addresses; its owner, who has signed in from
where they are, is not touched by it. An attempt counts before its password is computed, so that many at once
do not get past the limit; one that succeeds is taken back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from app.access.models import SignInFailure, UserSession
from app.kit.crypto import Keyring
from app.kit.db import now
from app.kit.errors import TooMany

WINDOW: Final = timedelta(minutes=15)
ACCOUNT_AND_SOURCE: Final = 5
SOURCE: Final = 50
"""An office signs in from one address."""
UNKNOWN_SOURCES: Final = 20
RESETS_TO_ADDRESS: Final = 3
"""A person needs one mail, and may lose it; more would fill a foreign mailbox."""
RESETS_OF_SOURCE: Final = 20
KNOWN_FOR: Final = timedelta(days=90)
"""A source from which the account was signed in less long ago is known."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The counters of one sign-in."""

    keys: Mapping[bytes, int]
    """Each counter's key with its limit."""
    refusal: str = "Too many sign-ins failed: try again in {minutes} min, or set a new password."
    code: str = "too-many-sign-ins"

    @classmethod
    async def of(
        cls, session: AsyncSession, keyring: Keyring, *, email: str, user_id: UUID | None, source: str
    ) -> "Attempt":
        """The counters of a sign-in with this e-mail address from this source (an IP address).

        An account that does not exist has counters like any other.
        """
        account = email.casefold()
        counters = {
            _key(keyring, "account-and-source", account, source): ACCOUNT_AND_SOURCE,
            _key(keyring, "source", source): SOURCE,
        }
        is_known = await session.scalar(
            select(func.count())
            .select_from(UserSession)
            .where(
                UserSession.user_id == (user_id or UUID(int=0)),
                UserSession.address == source,
                UserSession.created_at > now(session) - KNOWN_FOR,
            )
        )
        if not is_known:
            counters[_key(keyring, "unknown-sources", account)] = UNKNOWN_SOURCES
        return cls(counters)

    @classmethod
    def of_reset(cls, keyring: Keyring, *, email: str, source: str) -> "Attempt":
        """The counters of a request for a new password; every one counts, whether there is such an account or not."""
        return cls(
            {
                _key(keyring, "reset-address", email.casefold()): RESETS_TO_ADDRESS,
                _key(keyring, "reset-source", source): RESETS_OF_SOURCE,
            },
            "Too many new passwords were asked for: look into the mailbox, or try again in {minutes} min.",
            "too-many-password-resets",
        )

    async def begin(self, session: AsyncSession) -> None:
        """Count the attempt; `TooMany` where one of the counters is at its limit."""
        at = now(session)
        for key in sorted(self.keys):
            row = (await session.execute(_counted(key, at + WINDOW, at))).one()
            if row.failures > self.keys[key]:
                seconds = max(1, int((row.until - at).total_seconds()))
                raise TooMany(
                    self.refusal.format(minutes=seconds // 60 + 1),
                    code=self.code,
                    headers={"Retry-After": str(seconds)},
                )

    async def succeeded(self, session: AsyncSession) -> None:
        """Take the attempt back; earlier failures of the account from this source are forgotten."""
        for key in sorted(self.keys):
            if self.keys[key] == ACCOUNT_AND_SOURCE:
                await session.execute(delete(SignInFailure).where(SignInFailure.key == key))
            else:
                await session.execute(
                    update(SignInFailure)
                    .where(SignInFailure.key == key)
                    .values(failures=func.greatest(SignInFailure.failures - 1, 0))
                )


def _counted(key: bytes, until: datetime, at: datetime) -> ReturningInsert[int, datetime]:
    inserted = insert(SignInFailure).values(key=key, failures=1, until=until)
    is_over = SignInFailure.until <= at
    return inserted.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "failures": case((is_over, 1), else_=SignInFailure.failures + 1),
            "until": case((is_over, inserted.excluded.until), else_=SignInFailure.until),
        },
    ).returning(SignInFailure.failures, SignInFailure.until)


def _key(keyring: Keyring, *parts: str) -> bytes:
    """A keyed hash: without the installation's key nobody can tell an address from it by trying all of them."""
    return keyring.sign("sign-in-failure", "\0".join(parts).encode())


async def delete_over(session: AsyncSession, *, limit: int) -> int:
    """Delete up to `limit` counters whose windows are over; their number."""
    over: Sequence[bytes] = (
        await session.scalars(select(SignInFailure.key).where(SignInFailure.until <= now(session)).limit(limit))
    ).all()
    await session.execute(delete(SignInFailure).where(SignInFailure.key.in_(over)))
    return len(over)
