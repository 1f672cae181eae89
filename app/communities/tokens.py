"""The tokens of communities: stored sealed, renewed by one worker at a time, watched for their expiry.

Several communities may share one grant (an administrator's, of all her groups). Its new tokens belong
to all of them, because some platforms accept a refresh token only once. So the tokens of one grant are
renewed together: a worker claims them, calls the platform outside of any transaction, and stores the
new ones. A worker that finds them claimed waits, and goes on with the new ones.
"""

import hashlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from pydantic import SecretStr
from sqlalchemy import ColumnElement, bindparam, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.communities.events import TokenExpiring
from app.communities.models import Community, CommunityToken
from app.kit import instants
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import actor_of, in_workspace, now, workspace_of
from app.kit.events import publish
from app.kit.ids import uuid7
from app.platforms.capabilities import IssuedToken, Refreshes, TokenState
from app.platforms.contract import Adapter, Token

log = structlog.get_logger()

RENEW_BEFORE: Final = timedelta(minutes=10)
"""A token that expires within this time is renewed before it is used."""
RENEWAL_LEASE: Final = timedelta(minutes=2)
"""How long a claim lasts: the worker that made it may have died."""
RENEWED_RECENTLY: Final = timedelta(minutes=5)
"""A token that is refused so soon after it was renewed is not renewed again."""
WARN_BEFORE: Final = timedelta(days=7)
"""How long before its expiry a token that cannot be renewed is announced."""


class RenewalInProgress(Exception):
    """Another worker is renewing these tokens; try again at `at`."""

    def __init__(self, at: datetime) -> None:
        super().__init__("another worker is renewing the tokens")
        self.at = at


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """The tokens of a community, as they were when they were read."""

    texts: Mapping[Token, str] = field(repr=False)
    ends_at: Mapping[Token, datetime | None]
    versions: Mapping[Token, int]
    renewed_at: datetime | None
    lost: frozenset[Token] = frozenset()
    """Those that no key of this installation decrypts; they are not in `texts`."""


@dataclass(frozen=True, slots=True)
class RenewalClaim:
    """The tokens that one worker has claimed: those of a community, and of all that share its grant."""

    community_id: UUID
    versions: Mapping[tuple[UUID, Token], int]
    """By community and kind, when they were claimed."""
    same_text: frozenset[tuple[UUID, Token]]
    """Those with the same text as the community's own; other ones (of another page, say) are not replaced."""


async def store(session: AsyncSession, keyring: Keyring, community_id: UUID, tokens: Mapping[Token, SecretStr]) -> None:
    """Store tokens that a person has given, in place of those of the same kinds."""
    for kind, secret in sorted(tokens.items()):  # in the order of `reseal`, to avoid deadlocks
        await _store(session, keyring, community_id, kind, secret.get_secret_value(), None)


async def replace_grant(
    session: AsyncSession,
    keyring: Keyring,
    community_id: UUID,
    adapter_class: type[Adapter],
    tokens: Mapping[Token, SecretStr],
) -> frozenset[Token]:
    """Store tokens that a person has given, and delete those of the grant that they replace; the kinds deleted.

    Otherwise the session before would be used on, and hide that the new tokens are wrong.
    """
    rows = await _lock(session, CommunityToken.community_id == community_id)
    replaced = of_replaced_grant(adapter_class, set(tokens), {Token(row.kind) for row in rows})
    for row in rows:
        if Token(row.kind) in replaced:
            await session.delete(row)
    await session.flush()
    await store(session, keyring, community_id, tokens)
    return replaced


def of_replaced_grant(
    adapter_class: type[Adapter], tokens: Collection[Token], stored: Collection[Token]
) -> frozenset[Token]:
    """The stored kinds of token, other than those given, that come from what `tokens` replace, or would renew it."""
    others, app = frozenset(stored) - frozenset(tokens), adapter_class.spec.app_settings
    issued = renewable(adapter_class, tokens, app)
    return frozenset(kind for kind in others if kind in issued or renewable(adapter_class, {kind}, app) & set(tokens))


async def _store(
    session: AsyncSession, keyring: Keyring, community_id: UUID, kind: Token, text: str, ends_at: datetime | None
) -> None:
    statement = insert(CommunityToken).values(
        workspace_id=workspace_of(session),
        id=uuid7(),
        community_id=community_id,
        kind=kind.value,
        sealed=keyring.seal(text),
        fingerprint=fingerprint(text),
        expires_at=ends_at,
        updated_at=now(session),
    )
    replaced_columns = ("sealed", "fingerprint", "expires_at", "updated_at")
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["workspace_id", "community_id", "kind"],
            set_={
                **{name: statement.excluded[name] for name in replaced_columns},
                "version": CommunityToken.version + 1,
                "missing_scopes": [],
                "inspected_at": None,
                "warned_at": None,
                "renewing_until": None,
                "renewed_at": None,
            },
        )
    )


def fingerprint(text: str) -> str:
    """A hash by which equal tokens are recognised; it reveals nothing else, as they are long and random."""
    return hashlib.sha256(f"token\n{text}".encode()).hexdigest()[:32]


async def load(session: AsyncSession, keyring: Keyring, community_id: UUID) -> StoredTokens:
    """A community's tokens, decrypted."""
    params = {"workspace": workspace_of(session), "community": community_id}
    rows = (await session.execute(_STORED, params)).all()
    texts: dict[Token, str] = {}
    for row in rows:
        with suppress(SealBroken):
            texts[Token(row.kind)] = keyring.open(row.sealed)
    renewed = [row.renewed_at for row in rows if row.renewed_at is not None]
    return StoredTokens(
        texts=texts,
        ends_at={Token(row.kind): row.expires_at for row in rows},
        versions={Token(row.kind): row.version for row in rows},
        renewed_at=max(renewed, default=None),
        lost=frozenset(Token(row.kind) for row in rows) - texts.keys(),
    )


_STORED: Final = select(CommunityToken.__table__).where(
    CommunityToken.workspace_id == bindparam("workspace"), CommunityToken.community_id == bindparam("community")
)


def renewable(adapter_class: type[Adapter], tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
    """The kinds of token that can be fetched without a person."""
    return adapter_class.renewable(tokens, app) if issubclass(adapter_class, Refreshes) else frozenset()


def need_renewal(stored: StoredTokens, kinds: Collection[Token], at: datetime) -> bool:
    """Whether one of these kinds is missing, or ends so soon that it should be renewed before a call."""
    ends = [stored.ends_at.get(kind) for kind in kinds]
    return any(kind not in stored.texts for kind in kinds) or any(
        end is not None and end <= at + RENEW_BEFORE for end in ends
    )


# ── renewing ──────────────────────────────────────────────────────────────────────────────────────


async def claim_renewal(session: AsyncSession, community_id: UUID, stored: StoredTokens) -> RenewalClaim | None:
    """Claim the tokens of a grant for renewal; None where they have changed since they were read.

    Raises `RenewalInProgress` where another worker has claimed them.
    """
    rows = await _lock_grant(session, community_id)
    own = {Token(row.kind): row for row in rows if row.community_id == community_id}
    if {kind: row.version for kind, row in own.items()} != stored.versions:
        return None
    leases = [
        row.renewing_until for row in rows if row.renewing_until is not None and row.renewing_until > now(session)
    ]
    if leases:
        raise RenewalInProgress(min(now(session) + timedelta(seconds=2), max(leases)))
    for row in rows:
        row.renewing_until = now(session) + RENEWAL_LEASE
    marked = {(row.community_id, Token(row.kind)): row for row in rows}
    fingerprints = {kind: row.fingerprint for kind, row in own.items()}
    same_text = frozenset(
        token_key for token_key, row in marked.items() if row.fingerprint == fingerprints.get(token_key[1])
    )
    return RenewalClaim(community_id, {token_key: row.version for token_key, row in marked.items()}, same_text)


async def store_renewed(
    session: AsyncSession, keyring: Keyring, claim: RenewalClaim, issued: Mapping[Token, IssuedToken]
) -> None:
    """Store the tokens that a platform has issued, for every community of the grant.

    Tokens that a person replaced meanwhile stay: they are of another grant.
    """
    rows = await _lock_claimed(session, claim)
    versions = {(row.community_id, Token(row.kind)): row.version for row in rows}
    fetched = {(claim.community_id, kind) for kind in issued if (claim.community_id, kind) not in claim.versions}
    if any(
        versions.get(token_key) != version
        for token_key, version in claim.versions.items()
        if token_key[0] == claim.community_id
    ):
        fetched = set()
    stale = {
        token_key for token_key in claim.same_text | fetched if versions.get(token_key) == claim.versions.get(token_key)
    }
    for community_id, kind in sorted(token_key for token_key in stale if token_key[1] in issued):
        new = issued[kind]
        ends_at = None if new.lifetime is None else instants.after(now(session), new.lifetime)
        await _store(session, keyring, community_id, kind, new.text, ends_at)
    await _record_renewal(session, {token_key for token_key in stale if token_key[1] in issued})
    replaced = {token_key for token_key, version in versions.items() if version != claim.versions.get(token_key)}
    for row in await _lock_claimed(session, claim):
        if (row.community_id, Token(row.kind)) not in replaced:
            row.renewing_until, row.renewed_at = None, now(session)
    log.info("tokens.renewed", kinds=sorted(issued), communities=len({token_key[0] for token_key in claim.versions}))


async def _record_renewal(session: AsyncSession, renewed: Collection[tuple[UUID, Token]]) -> None:
    kinds_by_community: dict[UUID, list[str]] = {}
    for community_id, kind in sorted(renewed):
        kinds_by_community.setdefault(community_id, []).append(kind.value)
    projects = await session.execute(
        select(Community.id, Community.project_id).where(
            in_workspace(Community, workspace_of(session)), Community.id.in_(kinds_by_community)
        )
    )
    for row in projects.all():
        audit.record(
            session,
            actor_of(session),
            "tokens.renew",
            community_id=row.id,
            project_id=row.project_id,
            kinds=kinds_by_community[row.id],
        )


async def release(session: AsyncSession, claim: RenewalClaim) -> None:
    """End a claim after a renewal that failed: the next worker may try."""
    for row in await _lock_claimed(session, claim):
        row.renewing_until = None


async def have_changed(session: AsyncSession, community_id: UUID, stored: StoredTokens) -> bool:
    """Whether tokens have been renewed or replaced since they were read."""
    rows = await session.execute(
        select(CommunityToken.kind, CommunityToken.version).where(
            in_workspace(CommunityToken, workspace_of(session)), CommunityToken.community_id == community_id
        )
    )
    return {Token(row.kind): row.version for row in rows} != dict(stored.versions)


async def _lock_grant(session: AsyncSession, community_id: UUID) -> list[CommunityToken]:
    """The tokens of a community and of those that share its grant, locked."""
    own = in_workspace(CommunityToken, workspace_of(session))
    sources = select(CommunityToken.kind, CommunityToken.fingerprint).where(
        own,
        CommunityToken.community_id == community_id,
        CommunityToken.kind.in_([Token.REFRESH.value, Token.USER.value, Token.PASSWORD.value]),
    )
    sharing = select(CommunityToken.community_id).where(
        own, tuple_(CommunityToken.kind, CommunityToken.fingerprint).in_(sources)
    )
    return await _lock(
        session, (CommunityToken.community_id == community_id) | CommunityToken.community_id.in_(sharing)
    )


async def _lock_claimed(session: AsyncSession, claim: RenewalClaim) -> list[CommunityToken]:
    communities = {community_id for community_id, _ in claim.versions}
    return await _lock(session, CommunityToken.community_id.in_(communities))


async def _lock(session: AsyncSession, condition: ColumnElement[bool]) -> list[CommunityToken]:
    """Tokens of this workspace, locked in the order of `reseal`."""
    rows = await session.scalars(
        select(CommunityToken)
        .where(in_workspace(CommunityToken, workspace_of(session)), condition)
        .order_by(CommunityToken.community_id, CommunityToken.kind)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(rows)


# ── what the platform says of them ────────────────────────────────────────────────────────────────


async def store_inspection(
    session: AsyncSession, community_id: UUID, stored: StoredTokens, states: Mapping[Token, TokenState]
) -> bool:
    """Store what a platform reports about a community's tokens; whether none was replaced meanwhile.

    For a replaced token nothing is stored.
    """
    rows = await _lock(session, CommunityToken.community_id == community_id)
    for row in rows:
        if stored.versions.get(Token(row.kind)) != row.version:
            continue
        row.inspected_at = now(session)
        state = states.get(Token(row.kind))
        if state is not None:
            row.missing_scopes = list(state.missing_scopes)
            if state.lifetime is not None:
                row.expires_at = instants.after(now(session), state.lifetime)
                if state.lifetime > WARN_BEFORE:  # prolonged: its expiry is announced again
                    row.warned_at = None
    return {Token(row.kind): row.version for row in rows} == dict(stored.versions)


async def warn_of_expiry(session: AsyncSession, community: Community, self_renewing: Collection[Token]) -> None:
    """Announce, once, tokens that expire within `WARN_BEFORE`, except those that are renewed without a person."""
    for row in await _lock(session, CommunityToken.community_id == community.id):
        ends = row.expires_at
        if (
            ends is None
            or row.warned_at is not None
            or Token(row.kind) in self_renewing
            or ends > now(session) + WARN_BEFORE
        ):
            continue
        row.warned_at = now(session)
        subject = (community.id, community.project_id, community.platform)
        await publish(session, TokenExpiring(*subject, Token(row.kind), ends))
