"""Mastodon's entities, rendered from the world. Source: docs.joinmastodon.org/entities."""

from __future__ import annotations

import html
import re
from typing import Final

from sandbox import instants
from sandbox.entities import PEOPLE_PER_COMMUNITY, Attached, Community, Dialog, Entry, Media, Notice
from sandbox.mastodon.servers import Server
from sandbox.network import Network
from sandbox.people import Person, person

Json = dict[str, object]

_PEOPLE: Final = 109_400_000_000_000_000
"""Account ids of persons start here."""
_MEDIA: Final = 115_000_000_000_000_000
"""Ids of pictures start here."""
ELSEWHERE: Final = "elsewhere.example"
"""The server of people whose server has dated what they wrote."""
_TOKENS: Final = re.compile(r"(https?://[^\s<]+)|(?<!\w)@([A-Za-z0-9_]+)(@[\w.:-]+)?|(?<!\w)#(\w+)")


class EntityRenderer:
    """Renders entities with this server's own addresses."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._server = network.variant(Server)
        self._base = network.base_url
        self._by_number = {c.profile.number: c for c in network.communities("mastodon")}

    # ── accounts ──────────────────────────────────────────────────────────────────────────────

    def community(self, account_id: int) -> Community | None:
        matches = (c for c in self._by_number.values() if c.profile.external_id == str(account_id))
        return next(matches, None)

    def person(self, number: int) -> Person:
        return person(number, self._by_number[number // PEOPLE_PER_COMMUNITY].profile.language)

    def person_of_account(self, account_id: int) -> Person | None:
        number = account_id - _PEOPLE
        return self.person(number) if number // PEOPLE_PER_COMMUNITY in self._by_number else None

    def named(self, acct: str) -> Community | Person | None:
        """The account of this name, with or without this server's host."""
        name, _, host = acct.removeprefix("@").partition("@")
        if host and host not in {self.host, ELSEWHERE}:
            return None
        community = self._network.world.communities.get(name.lower())
        if community is not None and community.profile.platform == "mastodon":
            return community
        number = name.rpartition("_")[2]
        if not number.isdecimal() or int(number) // PEOPLE_PER_COMMUNITY not in self._by_number:
            return None
        candidate = self.person(int(number))
        return candidate if candidate.username == name.lower() else None

    @property
    def host(self) -> str:
        return self._base.partition("://")[2]

    def account(self, actor: Community | Person) -> Json:
        if isinstance(actor, Community):
            profile = actor.profile
            account_id, username, name, note = int(profile.external_id), actor.key, profile.title, profile.about
            followers, following, statuses = len(actor.followers), 12, len(actor.authored)
            created = self._network.world.began - 400 * instants.DAY
            last = actor.authored[-1] >> 16 if actor.authored else None
        else:
            account_id, username, name, note = _PEOPLE + actor.number, actor.username, actor.name, ""
            followers, following, statuses = actor.followers, actor.following, 1 + actor.number % 500
            created = self._network.world.began - (actor.number % 1500) * instants.DAY
            last = None
        picture = f"{self._base}/avatars/{username}.png"
        return {
            "id": str(account_id),
            "username": username,
            "acct": username,
            "display_name": name,
            "locked": False,
            "bot": False,
            "discoverable": True,
            "indexable": False,
            "group": False,
            "created_at": instants.text(created - created % instants.DAY),
            "note": f"<p>{html.escape(note)}</p>" if note else "",
            "url": f"{self._base}/@{username}",
            "uri": f"{self._base}/users/{username}",
            "avatar": picture,
            "avatar_static": picture,
            "header": f"{self._base}/headers/missing.png",
            "header_static": f"{self._base}/headers/missing.png",
            "followers_count": followers,
            "following_count": following,
            "statuses_count": statuses,
            "last_status_at": None if last is None else instants.text(last)[:10],
            "hide_collections": None,
            "noindex": False,
            "emojis": [],
            "roles": [],
            "fields": [],
        }

    def credentials(self, c: Community) -> Json:
        source = {
            "privacy": "public", "sensitive": False, "language": c.profile.language, "note": c.profile.about,
            "fields": [], "follow_requests_count": 0, "hide_collections": None, "discoverable": True,
            "indexable": False, "attribution_domains": [],
        }  # fmt: skip
        role = {"id": "-99", "name": "", "permissions": "65536", "color": "", "highlighted": False}
        return {**self.account(c), "source": source, "role": role}

    def _author(self, c: Community, entry: Entry) -> Community | Person:
        return c if entry.person is None else self.person(entry.person)

    # ── statuses ──────────────────────────────────────────────────────────────────────────────

    def status(self, c: Community, entry: Entry) -> Json:
        author = self._author(c, entry)
        username = author.key if isinstance(author, Community) else author.username
        # A customer's text always mentions the community; the world stores the rest of it.
        text = entry.text if entry.person is None else f"@{c.key} {entry.text}"
        content, mentions, tags = self._content(text)
        above = self._above(c, entry)
        return {
            "id": str(entry.id),
            "created_at": entry.claimed or instants.text(entry.at),
            "in_reply_to_id": None if above is None else str(above.id),
            "in_reply_to_account_id": None if above is None else self.account(self._author(c, above))["id"],
            "sensitive": False,
            "spoiler_text": "",
            "visibility": visibility(entry),
            "language": c.profile.language,
            "uri": f"{self._base}/users/{username}/statuses/{entry.id}",
            "url": f"{self._base}/@{username}/{entry.id}",
            "replies_count": len(self.answers(c, entry)),
            "reblogs_count": entry.shares,
            "favourites_count": len(entry.reactors),
            "quotes_count": 0,
            "edited_at": None if entry.edited_at is None or not self._server.edits else instants.text(entry.edited_at),
            "content": content,
            "reblog": None,
            "application": None if entry.person is not None else {"name": "Web", "website": None},
            "account": {**self.account(author), **({"acct": f"{username}@{ELSEWHERE}"} if entry.claimed else {})},
            "media_attachments": [
                *(self.media(c, c.media[one]) for one in entry.media if one in c.media),
                *(self._attached(c, entry, one) for one in entry.attachments),
            ],
            "mentions": mentions,
            "tags": tags,
            "emojis": [],
            "quote": None,
            "card": None,
            "poll": None,
        }

    def media(self, c: Community, media: Media) -> Json:
        media_id = media_id_of(c, media.id)
        url = f"{self._base}/media/{media_id}.{media.type.rpartition('/')[2]}"
        size = {"width": 600, "height": 400, "size": "600x400", "aspect": 1.5}
        return {
            "id": media_id, "type": "image", "url": url, "preview_url": url, "remote_url": None,
            "description": media.detail.get("description") or None, "blurhash": None,
            "meta": {"original": size, "small": size},
        }  # fmt: skip

    def _attached(self, c: Community, entry: Entry, one: Attached) -> Json:
        """What a customer attached; a server passes a file that it cannot show on as `unknown`."""
        kinds = {"picture": ("image", "jpeg"), "video": ("video", "mp4"), "file": ("unknown", "pdf")}
        kind, suffix = kinds[one.kind]
        number = f"{entry.id}{one.number}"
        url = f"{self._base}/media/{number}.{suffix}"
        return {
            "id": number, "type": kind, "url": url, "preview_url": url, "remote_url": None,
            "description": one.name or None, "blurhash": None, "meta": {},
        }  # fmt: skip

    def answers(self, c: Community, entry: Entry) -> list[Entry]:
        """The number of existing direct replies; always 0 for a direct message."""
        replies = (c.wall.get(reply) for reply in entry.replies)
        return [reply for reply in replies if reply is not None and not reply.deleted]

    def _above(self, c: Community, entry: Entry) -> Entry | None:
        above = entry.parent if entry.parent is not None else entry.post
        parent = None if above is None else (c.mail if entry.kind == "message" else c.wall).get(above)
        return None if parent is None or parent.deleted else parent

    def ancestors(self, c: Community, entry: Entry) -> list[Entry]:
        chain: list[Entry] = []
        above = self._above(c, entry)
        while above is not None:
            chain.append(above)
            above = self._above(c, above)
        return chain[::-1]

    def descendants(self, c: Community, entry: Entry, limit: int) -> list[Entry]:
        """What is below a status; below a direct one, the direct ones (they are in no `replies_count`)."""

        def below(above: Entry) -> list[Entry]:
            if above.kind != "message":
                return self.answers(c, above)[::-1]
            return [c.mail[reply] for reply in reversed(above.replies) if reply in c.mail]

        entries: list[Entry] = []
        pending = below(entry)
        while pending and len(entries) < limit:
            entries.append(pending.pop())
            pending.extend(below(entries[-1]))
        return entries

    def mentioned(self, text: str) -> list[Community | Person]:
        """The accounts a text mentions."""
        accounts = (self.named(match[2] + (match[3] or "")) for match in _TOKENS.finditer(text) if match[2])
        return [account for account in accounts if account is not None]

    def _content(self, text: str) -> tuple[str, list[Json], list[Json]]:
        mentions: list[Json] = []
        tags: list[Json] = []

        def render(match: re.Match[str]) -> str:
            link, name, host, tag = match.groups()
            if link:
                target = html.escape(link)
                return f'<a href="{target}" target="_blank" rel="nofollow noopener" translate="no">{target}</a>'
            if tag:
                url = f"{self._base}/tags/{tag.lower()}"
                tags.append({"name": tag.lower(), "url": url})
                return f'<a href="{url}" class="mention hashtag" rel="tag">#<span>{html.escape(tag)}</span></a>'
            actor = self.named(name + (host or ""))
            if actor is None:
                return html.escape(match[0])
            account = self.account(actor)
            mentions.append({key: account[key] for key in ("id", "username", "url", "acct")})
            return (
                f'<span class="h-card" translate="no"><a href="{account["url"]}" class="u-url mention">'
                f"@<span>{html.escape(name)}</span></a></span>"
            )

        parts: list[str] = []
        end = 0
        for match in _TOKENS.finditer(text):
            parts += [html.escape(text[end : match.start()], quote=False), render(match)]
            end = match.end()
        parts.append(html.escape(text[end:], quote=False))
        paragraphs = "".join(parts).split("\n\n")
        return "".join(f"<p>{one.replace(chr(10), '<br />')}</p>" for one in paragraphs), mentions, tags

    # ── lists ─────────────────────────────────────────────────────────────────────────────────

    def notice(self, c: Community, notice: Notice) -> Json | None:
        """A notification; None where its subject is gone."""
        rendered: Json = {
            "id": str(notice.id),
            "type": notice.type,
            "created_at": instants.text(notice.at),
            "group_key": f"ungrouped-{notice.id}",
            "account": self.account(self.person(notice.person)),
        }
        if notice.entry is None:
            return rendered if notice.person in c.followers else None
        entry = c.wall.get(notice.entry) or c.mail.get(notice.entry)
        if entry is None or entry.deleted or (notice.type == "favourite" and notice.person not in entry.reactors):
            return None
        return {**rendered, "status": self.status(c, entry)}

    def filtered(self, c: Community, notice: Notice) -> bool:
        """Whether a new account's policy filters it out: a private mention that the account has not replied to.

        Source: `filter_private_mentions` in Mastodon's `notification_policy.rb`; sandbox communities follow no account.
        """
        entry = None if notice.entry is None else c.mail.get(notice.entry)
        dialog = None if entry is None or entry.peer is None else c.dialogs.get(entry.peer)
        if entry is None or dialog is None:
            return False
        return all(c.mail[one].person is not None for one in dialog.messages if one < entry.id)

    def conversation(self, c: Community, dialog: Dialog) -> Json:
        last = c.mail[dialog.messages[-1]]
        return {
            "id": str(dialog.number),
            "unread": dialog.unread > 0,
            "accounts": [self.account(self.person(dialog.person))],
            "last_status": self.status(c, last),
        }


def media_id_of(c: Community, media: str) -> str:
    """The id of a picture; no two communities share one."""
    return str(_MEDIA + c.profile.number * 10**12 + int(media))


def media_of(c: Community, media_id: str) -> str:
    """The community's picture with this id; empty for an id that cannot be one."""
    number = int(media_id) - _MEDIA - c.profile.number * 10**12 if media_id.isdecimal() else 0
    return str(number) if number > 0 else ""


def visibility(entry: Entry) -> str:
    if entry.kind == "message":
        return "direct"
    return entry.topic if entry.topic in ("unlisted", "private") else "public"


def own_ids(c: Community, *, exclude_replies: bool, direct: bool) -> list[int]:
    """The ids of a community's own statuses, ascending. Its answers to itself are no replies in this sense.

    Source: `AccountStatusesFilter` and `Status.without_replies` of Mastodon.
    """
    if not exclude_replies:
        own_mail = [one.id for one in c.mail.values() if one.person is None] if direct else []
        return sorted([*c.authored, *own_mail]) if own_mail else c.authored

    def answers_itself(entry: Entry) -> bool:
        above = c.wall.get(entry.post or 0) if entry.parent is None else c.wall.get(entry.parent)
        return above is not None and above.person is None

    return [one for one in c.authored if c.wall[one].kind == "post" or answers_itself(c.wall[one])]
