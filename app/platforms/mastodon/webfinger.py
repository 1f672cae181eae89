"""The server of an account whose handle is of another domain, by webfinger (RFC 7033).

Mastodon's `LOCAL_DOMAIN` is in handles, its `WEB_DOMAIN` answers the API. The former answers webfinger, or redirects it
to the latter; nothing else of it need be there.
"""

from typing import Final
from urllib.parse import urljoin

import httpx
from pydantic import TypeAdapter

from app.platforms import wire
from app.platforms.contract import Credentials, Gone, Malformed, MissingPermission, Rejected, Unsupported
from app.platforms.mastodon import addresses, calls

PATH: Final = "/.well-known/webfinger"
MEDIA_TYPES: Final = ("application/activity+json", "application/ld+json")
MAX_REDIRECTS: Final = 3


class Link(wire.Model):
    rel: wire.StorableText = ""
    type: wire.StorableText = ""
    href: wire.StorableText = ""


class Resource(wire.Model):
    links: list[Link]


RESOURCE: Final = TypeAdapter(Resource)


async def server(http: httpx.AsyncClient, c: Credentials, classify: wire.Classify) -> str | None:
    """The address of another server that has the account; None where webfinger names none.

    No token is sent: it is another server's.
    """
    _, name, host = addresses.split(c.address)
    plain = c.base_url.startswith("http://")
    request = calls.open_request(http, c.base_url.rstrip("/") + PATH, {"resource": f"acct:{name}@{host}"})
    try:
        for _ in range(1 + MAX_REDIRECTS):
            response = await wire.read(http, request, lambda answer: None if answer.is_redirect else classify(answer))
            if not response.is_redirect:
                break
            target = urljoin(str(request.url), response.headers.get("location", ""))
            if addresses.server(target, plain=plain) is None:
                return None
            request = calls.open_request(http, target)
        links = wire.parse(RESOURCE, response).links
    except (Gone, Malformed, MissingPermission, Rejected, Unsupported):
        return None
    accounts = (link for link in links if link.rel == "self" and link.type.startswith(MEDIA_TYPES))
    servers = (addresses.server(link.href, plain=plain) for link in accounts)
    return next((one for one in servers if one is not None and one != c.base_url), None)
