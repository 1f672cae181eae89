"""The world's data classes."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

from sandbox.ledger import Record
from sandbox.people import Language
from sandbox.texts import Theme

EntryKind = Literal["post", "comment", "mention", "message"]
Activity = Literal["message", "mention", "share", "view", "save", "quote", "edit"]
"""What people can do on a platform, besides following, reacting, commenting and deleting."""

PEOPLE_PER_COMMUNITY: Final = 1_000_000
"""Each community has its own range of person numbers, so that no two share a customer."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A community's fixed properties."""

    key: str
    """Also its name in URLs and handles: `@key`, `vk.com/key`."""
    platform: str
    number: int
    """Unique across platforms, from 1; determines the range of person numbers."""
    title: str
    about: str
    language: Language
    theme: Theme
    size: int
    """Followers when its history begins."""
    busy: bool
    """Events are frequent enough to see figures change within seconds."""
    activities: frozenset[Activity]
    """Supported activities; with `view` the platform counts views and reach."""
    snowflakes: bool
    """Ids are made of milliseconds and a counter, unique on the platform (else 1, 2, 3 … per wall)."""
    external_id: str
    """The community's id on its platform."""
    nested: bool = True
    """A post's comment count includes all depths (else only direct replies)."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that a customer attached. It has an address and a name, but no content."""

    kind: str
    """`picture`, `video` or `file`."""
    name: str
    number: int
    """Its place in the message, from 0."""


def attached(record: Record) -> tuple[Attached, ...]:
    """What a record says is attached."""
    return tuple(Attached(one["kind"], one["name"], number) for number, one in enumerate(record.get("attachments", ())))


@dataclass(slots=True)
class Entry:
    """Something written: a post, a comment, a mention or a direct message."""

    id: int
    kind: EntryKind
    at: int
    text: str
    person: int | None
    """The author; None for the community itself."""
    edited_at: int | None = None
    """When its author last replaced its text."""
    claimed: str = ""
    """The date that a customer's own server wrote into it, of Mastodon and Bluesky; empty: a right one."""
    peer: int | None = None
    """The customer whose conversation a direct message belongs to."""
    number: int = 0
    """A direct message's position in its conversation, from 1."""
    post: int | None = None
    parent: int | None = None
    """The entry it replies to, if not the post itself."""
    category: str = ""
    topic: str = ""
    reactors: set[int] = field(default_factory=set)
    shares: int = 0
    views: int = 0
    reach: int = 0
    saves: int = 0
    quotes: int = 0
    media: tuple[str, ...] = ()
    """The ids of its images, in order."""
    attachments: tuple[Attached, ...] = ()
    """What a customer attached; wire formats leave out the kinds that their platform does not have."""
    replies: list[int] = field(default_factory=list)
    """Direct replies, oldest first, without deleted ones that have no replies."""
    comments: int = 0
    """For a post: the number of comments at any depth that are not deleted."""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Media:
    """An uploaded image. Its content is not kept."""

    id: str
    at: int
    type: str
    """The media type, such as `image/png`."""
    size: int
    """In bytes."""
    detail: dict[str, object]
    """Data of the wire format."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification to the community."""

    id: int
    at: int
    type: Literal["mention", "follow", "favourite", "reblog"]
    person: int
    entry: int | None = None


class Followers:
    """A community's followers; adding, removing and picking one at random take constant time."""

    def __init__(self) -> None:
        self._list: list[int] = []
        self._index: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._list)

    def __contains__(self, person: int) -> bool:
        return person in self._index

    def page(self, offset: int, count: int) -> list[int]:
        return self._list[offset : offset + count]

    def add(self, person: int) -> None:
        if person not in self._index:
            self._index[person] = len(self._list)
            self._list.append(person)

    def remove(self, person: int) -> None:
        position = self._index.pop(person, None)
        if position is None:
            return
        last = self._list.pop()
        if last != person:
            self._list[position] = last
            self._index[last] = position

    def pick(self, rng: Random) -> int:
        return self._list[rng.randrange(len(self._list))]


@dataclass(slots=True)
class Dialog:
    """The direct messages with one person, oldest first."""

    number: int
    """The conversation's number in the community, from 1."""
    person: int
    messages: list[int] = field(default_factory=list)
    unread: int = 0
    """The customer's messages since the community last replied."""


@dataclass(slots=True)
class Community:
    """A community's current state."""

    profile: Profile
    followers: Followers = field(default_factory=Followers)
    latest_person: int = 0
    wall: dict[int, Entry] = field(default_factory=dict)
    """Posts, comments and mentions by id."""
    posts: list[int] = field(default_factory=list)
    """Existing posts, oldest first."""
    authored: list[int] = field(default_factory=list)
    """Existing posts and public replies of the community, oldest first."""
    loose: deque[int] = field(default_factory=deque)
    """Mentions that reply to nothing, oldest first."""
    mail: dict[int, Entry] = field(default_factory=dict)
    """Direct messages by id."""
    media: OrderedDict[str, Media] = field(default_factory=OrderedDict)
    """Uploaded images by id, oldest first."""
    dialogs: OrderedDict[int, Dialog] = field(default_factory=OrderedDict)
    """By person; the most recently active one comes last."""
    mentions: deque[Notice] = field(default_factory=lambda: deque(maxlen=5000))
    notices: deque[Notice] = field(default_factory=lambda: deque(maxlen=2000))
    """Follows, favourites and boosts; separate, so that they do not push mentions out of the queue."""
    last_wall_id: int = 0
    last_mail_id: int = 0
    uploads: int = 0
    dialogs_opened: int = 0

    @property
    def key(self) -> str:
        return self.profile.key

    def number_of(self, index: int) -> int:
        """The person number of `index` in this community's range."""
        return self.profile.number * PEOPLE_PER_COMMUNITY + index
