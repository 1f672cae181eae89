"""Addresses of posts."""

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from app.platforms.bluesky import records
from app.platforms.bluesky.translate import actor
from app.platforms.contract import CommunityIdentity

PATH: Final = re.compile(r"/profile/([^/]+)/post/([A-Za-z0-9._~:-]{1,512})(?:/.*)?")


def post_key(community: CommunityIdentity, url: str) -> str | None:
    """As in `Adapter.post_key`: the post's URI, if the address names the account by its DID or by a known handle.

    The host makes no difference: other clients of the network use the same paths.
    """
    try:
        path = PATH.fullmatch(unquote(urlsplit(url).path))
    except ValueError:
        return None
    if path is None or community.external_id is None:
        return None
    accounts = {community.external_id, *community.aliases, *(actor(address) for address in community.addresses)}
    if path[1].lower().removeprefix("@") not in {account.lower() for account in accounts}:
        return None
    return f"at://{community.external_id}/{records.POST}/{path[2]}"
