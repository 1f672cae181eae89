"""Reads of tracked links, in the one form in which all operations return them."""

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, cast, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.reads import project_of_community
from app.kit.db import in_workspace, workspace_of
from app.kit.lists import WORKSPACE, Listing, Row, Sort, equal
from app.kit.paging import Keyset
from app.links.lexemes import LINK_LEXEMES
from app.links.models import Click, ClickDay, Link
from app.settings import Settings


class LinkSort(StrEnum):
    """The order of a list of links."""

    CREATED = "created_at"


_PLAIN: Final = (
    *("id", "project_id", "community_id", "post_id", "slug", "target", "target_version", "title", "created_at"),
    "archived_at",
)
_COUNTS: Final = ("people", "bots", "repeats")


def _listing(*, with_clicks: bool) -> Listing:
    query = select(*(getattr(Link, name) for name in _PLAIN)).where(in_workspace(Link, WORKSPACE))
    if with_clicks:
        sums = (
            select(
                *(cast(func.coalesce(func.sum(getattr(ClickDay, name)), 0), BigInteger).label(name) for name in _COUNTS)
            )
            .where(ClickDay.workspace_id == WORKSPACE, ClickDay.link_id == Link.id)
            .correlate(Link)
            .lateral("clicks")
        )
        query = query.add_columns(*sums.c).select_from(Link).join(sums, true())
    return Listing(
        query,
        Link.id,
        sorts={LinkSort.CREATED: Sort(Keyset((Link.created_at, Link.id)))},
        filters={
            **equal(project_id=Link.project_id, community_id=Link.community_id, post_id=Link.post_id, slug=Link.slug),
            "archived": {True: Link.archived_at.is_not(None), False: Link.archived_at.is_(None)},
            **LINK_LEXEMES.filters(Link.__table__.c.id),
        },
        ids_first=True,
        within=project_of_community(),
    )


LINKS: Final = {with_clicks: _listing(with_clicks=with_clicks) for with_clicks in (False, True)}
"""By whether they come with their clicks."""

_COUNTED: Final = Click.bot.is_(None) & Click.repeat.is_(False)
CLICKS: Final = Listing(
    select(
        *(Click.id, Click.at, Click.day, Click.bot, Click.repeat, Click.referrer, Click.target_version),
        func.encode(Click.visitor, "hex").label("visitor"),
    ).where(in_workspace(Click, WORKSPACE)),
    Click.id,
    sorts={"at": Sort(Keyset((Click.at, Click.id)))},
    filters={**equal(link_id=Click.link_id), "people": {True: _COUNTED, False: ~_COUNTED}},
)


def link_read(row: Row, settings: Settings) -> dict[str, Any]:
    """A link as `LinkRead` describes it."""
    return {
        **{name: row[name] for name in _PLAIN},
        "url": f"{settings.public_url.rstrip('/')}/r/{row['slug']}",
        "clicks": {name: row[name] for name in _COUNTS} if "people" in row else None,
    }


async def changed(session: AsyncSession, link: Link, settings: Settings) -> dict[str, Any]:
    """A link with the changes of this transaction."""
    await session.flush()
    return link_read(await LINKS[False].one(await session.connection(), workspace_of(session), link.id), settings)
