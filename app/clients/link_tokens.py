"""Tokens of client links: only their hashes are stored."""

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.tokens import hashed, new_link_token
from app.clients.models import ClientLink, ClientLinkToken


async def make(session: AsyncSession, link: ClientLink) -> str:
    """The token of a link from now on; one that it had before is void."""
    own = ClientLinkToken.workspace_id == link.workspace_id, ClientLinkToken.client_link_id == link.id
    await session.execute(delete(ClientLinkToken).where(*own))
    token = new_link_token()
    session.add(ClientLinkToken(token_hash=hashed(token), workspace_id=link.workspace_id, client_link_id=link.id))
    await session.flush()
    return token
