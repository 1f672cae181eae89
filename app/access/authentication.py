"""Who a request is from: the actor of an API key or of a session, with what it may do at the moment."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Update, bindparam, func, select, update

from app.access import grants
from app.access.grants import Grants, Projects
from app.access.models import ApiKey, Membership, ProjectSeat, Role, Seat, UserSession
from app.access.permissions import Permission
from app.access.tokens import API_KEY, SESSION, StoredSecret, Token
from app.kit.actors import Actor, ActorKind
from app.kit.cache import Cache, OnePer
from app.kit.errors import Unauthenticated
from app.kit.resources import Resources

SESSION_IDLE: Final = timedelta(days=14)
"""A session that is not used for so long has ended."""
USE_RECORDED: Final = timedelta(minutes=5)
"""How exactly it is known when a credential was last used."""

_REFUSED: Final = {
    API_KEY: "This API key is not known, or expired, or revoked.",
    SESSION: "This session is not known, or has ended: sign in again.",
}


@dataclass(frozen=True, slots=True)
class RequestActor(Actor):
    """The actor of an authenticated request, in its workspace."""

    workspace_id: UUID
    user_id: UUID
    """The signed-in user, or the owner of the API key."""
    credential_id: UUID
    """The API key's or the session's id."""
    grants: Grants
    projects: Projects
    """The projects in which it has the permission of the operation; None: all."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What an API key or a session stands for."""

    kind: ActorKind
    id: UUID
    workspace_id: UUID
    user_id: UUID
    secret: StoredSecret
    ends_at: datetime | None
    grants: Grants
    is_cookie: bool = False

    def acting(self, permission: Permission) -> RequestActor:
        """The actor for an operation that needs `permission`; without it `projects` is empty."""
        actor_id = self.user_id if self.kind is ActorKind.USER else self.id
        projects = self.grants.projects_with(permission)
        return RequestActor(self.kind, str(actor_id), self.workspace_id, self.user_id, self.id, self.grants, projects)


class Authenticator:
    """Authenticates API keys and sessions, each cached for `CACHE_SECONDS`.

    One revoked through another process is accepted here for that long at most, and so are permissions taken
    there; what this process changes is dropped from the cache with the commit.
    """

    CACHE_SECONDS: Final = 5.0
    CACHE_SIZE: Final = 10_000

    def __init__(self, resources: Resources) -> None:
        self._db, self._clock = resources.db, resources.clock
        self.credentials: Final = Cache[tuple[str, str], Credential](
            self._clock, seconds=self.CACHE_SECONDS, size=self.CACHE_SIZE
        )
        """By kind and prefix of the token."""

    async def authenticate(self, text: str) -> Credential:
        """What the text of an API key or a session stands for; `Unauthenticated` where it is not good (any more)."""
        token = Token.parse(text)
        if token is None:
            raise Unauthenticated("This is neither an API key (isk_…_…) nor a session (iss_…_…).")
        load = self._key if token.kind == API_KEY else self._session
        credential = await self.credentials.get((token.kind, token.prefix), lambda: load(token))
        now = self._clock.now()
        if not credential.secret.fits(token, now) or (credential.ends_at is not None and credential.ends_at <= now):
            raise Unauthenticated(_REFUSED[token.kind])
        return credential

    # What is not good is not cached, or it could fill the cache.

    async def _key(self, token: Token) -> Credential:
        row = await self._row(token, _KEY, _KEY_USED)
        granted = await self._grants(row.workspace_id, row.owner_id)
        permissions = None if row.permissions is None else [Permission(each) for each in row.permissions]
        projects = None if row.project_ids is None else [UUID(each) for each in row.project_ids]
        return Credential(
            ActorKind.API_KEY,
            row.id,
            row.workspace_id,
            row.owner_id,
            StoredSecret(row.secret_hash, row.previous_hash, row.previous_until),
            row.expires_at,
            granted.limited(permissions, projects),
        )

    async def _session(self, token: Token) -> Credential:
        row = await self._row(token, _SESSION, _SESSION_USED)
        if row.last_used_at + SESSION_IDLE <= self._clock.now():
            raise Unauthenticated(_REFUSED[token.kind])
        return Credential(
            ActorKind.USER,
            row.id,
            row.workspace_id,
            row.user_id,
            StoredSecret(row.secret_hash, row.previous_hash, row.previous_until),
            row.expires_at,
            await self._grants(row.workspace_id, row.user_id),
            row.is_cookie,
        )

    async def _row(self, token: Token, query: Any, used: Update) -> Row[Any]:
        """The stored credential, whose use is recorded; only for the right secret, as others are not a use."""
        now = self._clock.now()
        async with self._db.read_connection(None) as connection:
            row: Row[Any] | None = (await connection.execute(query, {"token_prefix": token.prefix})).one_or_none()
            if row is None or row.revoked_at is not None:
                raise Unauthenticated(_REFUSED[token.kind])
            is_good = StoredSecret(row.secret_hash, row.previous_hash, row.previous_until).fits(token, now)
            if is_good and (row.last_used_at is None or row.last_used_at + USE_RECORDED <= now):
                await connection.execute(used, {"token_prefix": token.prefix, "at": now})
        return row

    async def _grants(self, workspace_id: UUID, user_id: UUID) -> Grants:
        async with self._db.read_connection(workspace_id) as connection:
            parameters = {"workspace": workspace_id, "user": user_id}
            row = (await connection.execute(_MEMBER, parameters)).one_or_none()
        if row is None:
            return grants.NOTHING
        return grants.of_member(Role(row.role), [(UUID(project), Seat(seat)) for project, seat in row.seats or ()])


authenticator: Final = OnePer(Authenticator)
"""The authenticator of a process."""


_KEY: Final = select(
    ApiKey.workspace_id,
    ApiKey.id,
    ApiKey.owner_id,
    ApiKey.secret_hash,
    ApiKey.previous_hash,
    ApiKey.previous_until,
    ApiKey.permissions,
    ApiKey.project_ids,
    ApiKey.last_used_at,
    ApiKey.expires_at,
    ApiKey.revoked_at,
).where(ApiKey.prefix == bindparam("token_prefix"))

_SESSION: Final = select(
    UserSession.workspace_id,
    UserSession.id,
    UserSession.user_id,
    UserSession.secret_hash,
    UserSession.previous_hash,
    UserSession.previous_until,
    UserSession.is_cookie,
    UserSession.last_used_at,
    UserSession.expires_at,
    UserSession.revoked_at,
).where(UserSession.prefix == bindparam("token_prefix"))

_KEY_USED: Final = update(ApiKey).where(ApiKey.prefix == bindparam("token_prefix")).values(last_used_at=bindparam("at"))
_SESSION_USED: Final = (
    update(UserSession).where(UserSession.prefix == bindparam("token_prefix")).values(last_used_at=bindparam("at"))
)

_MEMBER: Final = select(
    Membership.role,
    select(func.jsonb_agg(func.jsonb_build_array(ProjectSeat.project_id, ProjectSeat.seat)))
    .where(ProjectSeat.workspace_id == Membership.workspace_id, ProjectSeat.user_id == Membership.user_id)
    .scalar_subquery()
    .label("seats"),
).where(Membership.workspace_id == bindparam("workspace"), Membership.user_id == bindparam("user"))
