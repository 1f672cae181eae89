"""Single-use links of accounts: of invitations and password resets."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.models import AccountLink, LinkPurpose
from app.access.tokens import hashed, new_link_token
from app.kit.db import now
from app.kit.errors import NotFound
from app.settings import Settings

LIFETIMES: Final = {LinkPurpose.INVITATION: timedelta(days=7), LinkPurpose.PASSWORD_RESET: timedelta(hours=2)}

KEPT: Final = timedelta(days=7)
"""How long a link is kept after its end."""


async def make(
    session: AsyncSession,
    purpose: LinkPurpose,
    *,
    workspace_id: UUID | None = None,
    invitation_id: UUID | None = None,
    user_id: UUID | None = None,
) -> str:
    """The token of a new link; earlier unused links for the same are void from now on."""
    same = delete(AccountLink).where(AccountLink.purpose == purpose.value, AccountLink.used_at.is_(None))
    if invitation_id is not None:
        await session.execute(same.where(AccountLink.invitation_id == invitation_id))
    else:
        await session.execute(same.where(AccountLink.user_id == user_id))
    token = new_link_token()
    session.add(
        AccountLink(
            token_hash=hashed(token),
            purpose=purpose.value,
            workspace_id=workspace_id,
            invitation_id=invitation_id,
            user_id=user_id,
            created_at=now(session),
            expires_at=now(session) + LIFETIMES[purpose],
            used_at=None,
        )
    )
    await session.flush()
    return token


async def find(session: AsyncSession, purpose: LinkPurpose, token: str, *, at: datetime) -> AccountLink:
    """The unused link of a token, locked until the transaction ends.

    Raises `NotFound` (`link-not-valid`) for one that is unknown, used, replaced or expired: which of these is
    not told.
    """
    link: AccountLink | None = await session.scalar(
        select(AccountLink)
        .where(
            AccountLink.token_hash == hashed(token),
            AccountLink.purpose == purpose.value,
            AccountLink.used_at.is_(None),
            AccountLink.expires_at > at,
        )
        .with_for_update()
    )
    if link is None:
        raise NotFound("This link is not valid (any more): ask for a new one.", code="link-not-valid")
    return link


async def delete_over(session: AsyncSession, *, limit: int) -> int:
    """Delete up to `limit` links that ended more than `KEPT` ago, used or not; their number."""
    over = (
        select(AccountLink.token_hash)
        .where(AccountLink.expires_at < now(session) - KEPT)
        .order_by(AccountLink.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    deleted = delete(AccountLink).where(AccountLink.token_hash.in_(over)).returning(AccountLink.token_hash)
    return len((await session.scalars(deleted)).all())


def address(settings: Settings, purpose: LinkPurpose, token: str) -> str:
    """The address of a link, for a person: a page (`account_pages`), whose forms send the token."""
    return f"{settings.public_url.rstrip('/')}/account/{purpose.value}?token={token}"
