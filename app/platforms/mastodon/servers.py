"""Which software a server runs, and what follows from it.

A server describes itself by nodeinfo (nodeinfo.diaspora.software): `/.well-known/nodeinfo` links to a document with
the software's name and version. The version in `/api/v1/instance` does not identify the software: GoToSocial can be
configured to give Mastodon's there, and Takahe's looks like one.
"""

import re
from typing import Final

import httpx
from pydantic import TypeAdapter

from app.platforms import wire

LINKS_PATH: Final = "/.well-known/nodeinfo"
SCHEMA: Final = re.compile(r"https?://nodeinfo\.diaspora\.software/ns/schema/2\.\d+")
DROPS_REPEATS: Final = {"mastodon": 2, "hometown": 1}
"""Software that surely drops a status repeated with the same `Idempotency-Key`, from a major version on (glitch-soc's
name is `mastodon`). GoToSocial and Takahe ignore the key; Pleroma keeps keys in memory alone.
"""


class Link(wire.Model):
    rel: wire.StorableText
    href: wire.StorableText


class Links(wire.Model):
    links: list[Link]


class Software(wire.Model):
    name: wire.StorableText
    version: wire.StorableText = ""

    @property
    def drops_repeats(self) -> bool:
        major = re.match(r"\d{1,4}", self.version)
        return major is not None and int(major[0]) >= DROPS_REPEATS.get(self.name.lower(), 10_000)


class NodeInfo(wire.Model):
    software: Software


LINKS: Final = TypeAdapter(Links)
NODE_INFO: Final = TypeAdapter(NodeInfo)


def document_path(links: Links, base_url: str) -> str | None:
    """The path of the document on the same server; None where there is none."""
    for link in links.links:
        if SCHEMA.fullmatch(link.rel) is None:
            continue
        try:
            url, base = httpx.URL(link.href), httpx.URL(base_url)
        except httpx.InvalidURL:
            continue
        if url.host in {"", base.host}:
            return url.path
    return None
