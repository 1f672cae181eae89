"""The description of the server. Source: docs.joinmastodon.org/entities/Instance and V1_Instance."""

from typing import Final

from sandbox.mastodon.servers import Server

TEXT_LIMIT: Final = 500
PICTURES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
PICTURE_BYTES: Final = 16_777_216
DESCRIPTION_LIMIT: Final = 1500

_MEDIA: Final = {
    "supported_mime_types": PICTURES,
    "image_size_limit": PICTURE_BYTES,
    "image_matrix_limit": 33_177_600,
    "video_size_limit": 103_809_024,
    "video_frame_rate_limit": 120,
    "video_matrix_limit": 8_294_400,
}
_POLLS: Final = {
    "max_options": 4,
    "max_characters_per_option": 50,
    "min_expiration": 300,
    "max_expiration": 2_629_746,
}
_STATUSES: Final = {"max_characters": TEXT_LIMIT, "max_media_attachments": 4, "characters_reserved_per_url": 23}
_ABOUT: Final = "A small social network for trying things out."


def v2(server: Server, base_url: str, users: int) -> dict[str, object]:
    return {
        "domain": base_url.partition("://")[2],
        "title": "Sandbox",
        "version": server.version,
        "source_url": server.source,
        "description": _ABOUT,
        "usage": {"users": {"active_month": users}},
        "thumbnail": {"url": f"{base_url}/thumbnail.png"},
        "icon": [],
        "languages": ["en", "ru"],
        "configuration": {
            "urls": {"streaming": None, "status": None, "about": f"{base_url}/about"},
            "accounts": {"max_featured_tags": 10, "max_pinned_statuses": 5},
            "statuses": _STATUSES,
            "media_attachments": {**_MEDIA, "description_limit": DESCRIPTION_LIMIT},
            "polls": _POLLS,
            "translation": {"enabled": False},
            "limited_federation": False,
        },
        "registrations": {"enabled": False, "approval_required": False, "message": None, "url": None},
        "api_versions": {"mastodon": 6},
        "contact": {"email": "nobody@sandbox.example", "account": None},
        "rules": [],
    }


def v1(server: Server, base_url: str, users: int, statuses: int) -> dict[str, object]:
    return {
        "uri": base_url.partition("://")[2],
        "title": "Sandbox",
        "short_description": _ABOUT,
        "description": _ABOUT,
        "email": "nobody@sandbox.example",
        "version": server.version,
        "urls": {"streaming_api": base_url.replace("http", "ws", 1)},
        "stats": {"user_count": users, "status_count": statuses, "domain_count": 1},
        "thumbnail": f"{base_url}/thumbnail.png",
        "languages": ["en", "ru"],
        "registrations": False,
        "approval_required": False,
        "invites_enabled": False,
        "configuration": {
            "accounts": {"max_featured_tags": 10},
            "statuses": _STATUSES,
            "media_attachments": _MEDIA,
            "polls": _POLLS,
        },
        "contact_account": None,
        "rules": [],
    }


def nodeinfo_links(base_url: str) -> dict[str, object]:
    schema = "http://nodeinfo.diaspora.software/ns/schema/2.0"
    return {"links": [{"rel": schema, "href": f"{base_url}/nodeinfo/2.0"}]}


def nodeinfo(server: Server, users: int) -> dict[str, object]:
    """Source: nodeinfo.diaspora.software, version 2.0."""
    return {
        "version": "2.0",
        "software": {"name": server.software, "version": server.version},
        "protocols": ["activitypub"],
        "services": {"outbound": [], "inbound": []},
        "usage": {"users": {"total": users}},
        "openRegistrations": False,
        "metadata": {},
    }


def webfinger(subject: str, account_url: str) -> dict[str, object]:
    """Source: RFC 7033."""
    return {
        "subject": subject,
        "aliases": [account_url],
        "links": [{"rel": "self", "type": "application/activity+json", "href": account_url}],
    }
