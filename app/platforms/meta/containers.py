"""Publishing on Instagram: containers, from which Instagram makes the post. One not published within a day expires."""

from dataclasses import replace
from typing import Final

from app.platforms import wire
from app.platforms.capabilities import OutgoingPost, Picture
from app.platforms.contract import Rejected, SendReceipt, Transient
from app.platforms.meta import accounts
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import Calls, GraphAccess

POSTS: Final = "posts"
"""The rate limit of posts published."""
STATUS_POLLS: Final = 5
"""How often a container's status is read before publishing fails as `Transient`."""


async def publish(calls: Calls, access: GraphAccess, account_id: str, draft: OutgoingPost) -> SendReceipt:
    """Publish one picture, or an album of several. Raises `Rejected` where the account's daily limit is used up, or
    Instagram refuses a picture, and `Transient` while it still processes one.
    """
    await _check_daily_limit(calls, access, account_id)
    if len(draft.pictures) == 1:
        form = {**_picture_form(draft.pictures[0]), "caption": draft.text}
    else:
        parts = [
            await _container(calls, access, account_id, {**_picture_form(picture), "is_carousel_item": "true"})
            for picture in draft.pictures
        ]
        form = {"media_type": "CAROUSEL", "children": ",".join(parts), "caption": draft.text}
    container_id = await _container(calls, access, account_id, form)
    made = await calls.change(
        replace(access, units={POSTS: 1}), f"{account_id}/media_publish", graph.MADE, {"creation_id": container_id}
    )
    return SendReceipt(external_id=made.id)


async def _check_daily_limit(calls: Calls, access: GraphAccess, account_id: str) -> None:
    limits = await calls.get(
        access, f"{account_id}/content_publishing_limit", accounts.LIMITS, {"fields": accounts.LIMIT_FIELDS}
    )
    for limit in limits.data:
        if limit.config is not None and limit.quota_usage is not None:
            total = limit.config.quota_total
            if limit.quota_usage >= total:
                raise Rejected(f"the account has published {total} posts in a day: Instagram takes no more yet")


async def _container(calls: Calls, access: GraphAccess, account_id: str, form: dict[str, str]) -> str:
    """The id of a new container, once it is ready to be published."""
    made = await calls.repeatable_post(access, f"{account_id}/media", graph.MADE, form)
    for _ in range(STATUS_POLLS):
        container = await calls.get(access, made.id, accounts.CONTAINER, {"fields": accounts.CONTAINER_FIELDS})
        if container.status_code == "FINISHED":
            return made.id
        if container.status_code == "ERROR":
            raise Rejected(f"Instagram cannot take the picture: {wire.explanation(container.status, ())}")
    raise Transient("Instagram is still busy with the picture")


def _picture_form(picture: Picture) -> dict[str, str]:
    return {"image_url": picture.url or ""} | ({"alt_text": picture.alt} if picture.alt else {})
