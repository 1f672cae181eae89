"""`instep keys`: API keys for a workspace, and encryption of stored tokens with a new key."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from app.access import keys, second_factor, service
from app.access.audit import chain
from app.access.audit import keys as audit_keys
from app.access.models import Membership, Role, Workspace
from app.alerts.service import reseal as reseal_bots
from app.communities.service import reseal as reseal_tokens
from app.kit import sealing
from app.kit.actors import Actor, ActorKind
from app.kit.crypto import Keyring
from app.kit.db import Database, in_workspace
from app.kit.deadlines import JOBS
from app.settings import Settings


async def create(settings: Settings, workspace: UUID, title: str) -> str | None:
    """The full text of a new API key of the owner of `workspace`; None where there is no such workspace."""
    database, actor = Database(settings.database_url, pool=1, deadlines=JOBS), Actor(ActorKind.COMMAND, "keys-create")
    try:
        async with database.transaction(workspace, actor) as session:
            if await session.scalar(select(Workspace.title).where(Workspace.workspace_id == workspace)) is None:
                return None
            owner_id = await session.scalar(
                select(Membership.user_id)
                .where(in_workspace(Membership, workspace), Membership.role == Role.OWNER.value)
                .order_by(Membership.created_at, Membership.id)
                .limit(1)
            )
            assert owner_id is not None, "a workspace has an owner"
            session.info["keyring"] = Keyring(settings.secret_keys)
            _, token = await keys.create_key(session, actor, title=title, owner_id=owner_id)
            return str(token)
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class Resealed:
    """What `reseal` has done in all workspaces."""

    tokens: int
    lost: frozenset[UUID]
    """Communities with a token, or a hook's secrets, that no key opens any more; those stay as they were."""
    lost_second_factors: int
    """Accounts whose second factor's secret no key opens any more."""


async def reseal(settings: Settings) -> Resealed:
    """Encrypt all tokens and second factors with the current key, each workspace in its own transaction."""
    database, actor = Database(settings.database_url, pool=1, deadlines=JOBS), Actor(ActorKind.COMMAND, "keys-reseal")
    keyring = Keyring(settings.secret_keys)
    tokens, lost = 0, frozenset[UUID]()
    try:
        async with database.transaction(None) as session:
            workspace_ids = await service.workspaces(session)
        for workspace_id in workspace_ids:
            async with database.transaction(workspace_id, actor) as session:
                session.info["keyring"] = keyring
                resealed = await reseal_tokens(session, actor, keyring)
                bots = await reseal_bots(session, actor, keyring)
                await chain.seal_again(session, keyring)
            tokens, lost = tokens + resealed.tokens + bots, lost | resealed.lost
        async with database.transaction(None, actor) as session:
            lost_factors = await second_factor.reseal(session, actor, keyring)
            await audit_keys.replace(session, keyring)
            if not lost and not lost_factors:
                await sealing.forget_others(session, keyring)
    finally:
        await database.close()
    return Resealed(tokens, lost, lost_factors)


async def adopt(settings: Settings) -> list[str]:
    """Require only the current keys from now on; the fingerprints of those that were required and are lost."""
    database, keyring = Database(settings.database_url, pool=1), Keyring(settings.secret_keys)
    try:
        async with database.transaction(None) as session:
            lost = await sealing.missing(session, keyring)
            if lost:
                await sealing.forget(session, lost)
    finally:
        await database.close()
    return lost
