"""What a list returns, and what it should return by the sandbox's state.

Items are matched by the second at which they were written: the stage lets only one thing happen in each second.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from app.platforms.capabilities import ListsComments
from app.platforms.contract import Adapter, MessageKind, Page, RemotePost
from sandbox.entities import Entry
from sandbox.ledger import Record
from tests.platforms.contract.finding import remote_post, second_of
from tests.platforms.contract.stage import Item, Subject, moment
from tests.platforms.specimens import Specimen

MOST_PAGES: Final = 1000
"""The most pages of a list before it is taken for an endless loop."""


class Listing(Protocol):
    """One of the lists of the contract."""

    name: str

    def applies(self, kind: type[Adapter], about: Specimen) -> bool:
        """Whether the adapter has this list."""
        ...

    def fill(self, s: Subject) -> None:
        """Make it long enough for several pages."""
        ...

    def add(self, s: Subject) -> Record:
        """Add one more item, the latest."""
        ...

    async def page(self, s: Subject, cursor: str | None, since: datetime | None) -> Page[Item]: ...

    def existing(self, s: Subject) -> list[int]:
        """When the items that it should return were created, in milliseconds since 1970, latest first."""
        ...

    def removable(self, s: Subject) -> list[Record]:
        """Items that can be deleted; empty if the list's items cannot."""
        ...


@dataclass(slots=True)
class PagesRead:
    """The items of all pages read."""

    cursor: str | None
    items: list[Item] = field(default_factory=list)
    """Without repeats, in the order of their first appearance."""
    pages: int = 0

    @property
    def seconds(self) -> list[int]:
        return [second_of(item) for item in self.items]


async def read_pages(
    listing: Listing,
    s: Subject,
    cursor: str | None = None,
    *,
    since: datetime | None = None,
    after_each: Callable[[Page[Item]], None] = lambda _: None,
    twice: bool = False,
) -> PagesRead:
    """Read all pages, each with a new adapter and the cursor as stored text. `twice`: request each page twice."""
    done = PagesRead(cursor)
    seen_ids: dict[str, None] = {}
    cursors_seen: set[str | None] = set()
    more = True
    while more:
        assert done.cursor not in cursors_seen, "a cursor came a second time"
        assert done.pages < MOST_PAGES, "paging does not end"
        cursors_seen.add(done.cursor)
        page = await listing.page(s, done.cursor, since)
        if twice:
            again = await listing.page(s, done.cursor, since)
            assert same_page(page, again), "the same cursor returns another page"
        done.items += [item for item in page.items if _is_visible(item) and item.external_id not in seen_ids]
        seen_ids |= dict.fromkeys(item.external_id for item in page.items)
        done.pages += 1
        assert page.cursor is None or isinstance(page.cursor, str), "a cursor must be a string"
        assert page.cursor is not None or not page.more, "there is more, but no cursor for it"
        done.cursor = None if page.cursor is None else str(json.loads(json.dumps(page.cursor)))
        more = page.more
        after_each(page)
    return done


def _is_visible(item: Item) -> bool:
    return isinstance(item, RemotePost) or not item.deleted


def same_page(one: Page[Item], other: Page[Item]) -> bool:
    """Whether two pages have the same items and the same `more`."""
    ids = [[item.external_id for item in page.items] for page in (one, other)]
    return ids[0] == ids[1] and one.more == other.more


def assert_complete(listing: Listing, s: Subject, items: Iterable[Item], *, since: datetime | None = None) -> None:
    """Assert that the items are exactly those that exist."""
    expected = sorted(at // 1000 for at in listing.existing(s) if since is None or moment(at) >= since)
    actual = sorted(second_of(item) for item in items)
    missing, unexpected = _difference(expected, actual)
    assert not missing, f"{len(missing)} of {len(expected)} {listing.name} are missing"
    assert not unexpected, f"{len(unexpected)} of {len(actual)} {listing.name} do not exist, or have two ids"


def _difference(expected: Sequence[int], actual: Sequence[int]) -> tuple[list[int], list[int]]:
    left = list(actual)
    missing = []
    for one in expected:
        if one in left:
            left.remove(one)
        else:
            missing.append(one)
    return missing, left


class Posts:
    """`Adapter.posts`."""

    name = "posts"

    def applies(self, kind: type[Adapter], about: Specimen) -> bool:
        return "posts" not in about.not_offered

    def fill(self, s: Subject) -> None:
        for number in range(170):
            s.post(f"Post {number}")

    def add(self, s: Subject) -> Record:
        return s.post("One more")

    async def page(self, s: Subject, cursor: str | None, since: datetime | None) -> Page[Item]:
        return await s.adapter().posts(s.c, cursor, since)

    def existing(self, s: Subject) -> list[int]:
        return [s.community.wall[post].at for post in reversed(s.community.posts)]

    def removable(self, s: Subject) -> list[Record]:
        return [Record(type="post", id=str(post), at="") for post in reversed(s.community.posts)]


class Comments:
    """`ListsComments.comments`, under one post."""

    name = "comments"

    def applies(self, kind: type[Adapter], about: Specimen) -> bool:
        return issubclass(kind, ListsComments) and "comments" not in about.not_offered

    def fill(self, s: Subject) -> None:
        """120 comments, one with more replies than are embedded in it, and one with a reply of the community."""
        post = s.post("Who comes along?")["id"]
        tops = [s.comment(post, f"Comment {number}", person=number)["id"] for number in range(1, 121)]
        below = tops[1]
        for number in range(14):
            made = s.comment(post, f"Answer {number}", parent=below, person=200 + number)["id"]
            below = made if number == 3 else below
        s.let("reply", via="comment", post=post, parent=tops[0], text="All of you")

    def add(self, s: Subject) -> Record:
        return s.comment(self._post(s), "Me too", person=300)

    async def page(self, s: Subject, cursor: str | None, since: datetime | None) -> Page[Item]:
        made = s.adapter()
        assert isinstance(made, ListsComments)
        return await made.comments(s.c, await remote_post(s, self._post(s)), cursor, since)

    def existing(self, s: Subject) -> list[int]:
        return [entry.at for entry in self._entries(s)]

    def removable(self, s: Subject) -> list[Record]:
        written = [entry for entry in self._entries(s) if entry.person is not None]
        return [
            Record(type="comment", id=str(one.id), post=self._post(s), person=one.person or 0, at="") for one in written
        ]

    def _entries(self, s: Subject) -> list[Entry]:
        post = int(self._post(s))
        return [
            entry
            for entry in reversed(s.community.wall.values())
            if entry.kind == "comment" and entry.post == post and not entry.deleted
        ]

    @staticmethod
    def _post(s: Subject) -> str:
        return str(next(post for post in reversed(s.community.posts) if "along" in s.community.wall[post].text))


class Conversations:
    """`Adapter.conversations`: messages of customers, of the kinds that the platform lists."""

    name = "conversations"

    def applies(self, kind: type[Adapter], about: Specimen) -> bool:
        return bool(about.listed_by_conversations)

    def fill(self, s: Subject) -> None:
        """Many people write once, one of them very often."""
        post = s.post("Ask us anything")["id"]
        for number in range(1, 206):
            if self._lists(s, MessageKind.MESSAGE):
                s.message(f"Message {number}", person=number)
                s.message(f"Another {number}", person=700)
        for number in range(1, 60):
            if self._lists(s, MessageKind.MENTION):
                s.mention(f"Mention {number}", person=number)
            if self._lists(s, MessageKind.COMMENT):
                s.comment(post, f"Comment {number}", person=number)

    def add(self, s: Subject) -> Record:
        """A message is by the person who wrote most: their conversation moves to the top."""
        if self._lists(s, MessageKind.MESSAGE):
            return s.message("One more thing", person=700)
        if self._lists(s, MessageKind.MENTION):
            return s.mention("One more thing")
        return s.comment(str(s.community.posts[-1]), "One more thing")

    async def page(self, s: Subject, cursor: str | None, since: datetime | None) -> Page[Item]:
        page = await s.adapter().conversations(s.c, cursor, since)
        # Platforms differ in whether a list includes the community's own messages.
        return Page(tuple(one for one in page.items if not one.author.is_community), page.cursor, page.more)

    def existing(self, s: Subject) -> list[int]:
        entries = [*s.community.wall.values(), *s.community.mail.values()]
        listed = [
            entry.at
            for entry in entries
            if entry.kind != "post"
            and MessageKind(entry.kind) in s.about.listed_by_conversations
            and entry.person is not None
            and not entry.deleted
        ]
        return sorted(listed, reverse=True)

    def removable(self, s: Subject) -> list[Record]:
        return []

    @staticmethod
    def _lists(s: Subject, kind: MessageKind) -> bool:
        return kind in s.about.listed_by_conversations and s.lets(kind)


LISTINGS: Final[tuple[Listing, ...]] = (Posts(), Comments(), Conversations())
