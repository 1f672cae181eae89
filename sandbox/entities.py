"""What the world consists of."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

from sandbox.people import Language
from sandbox.texts import Theme

EntryKind = Literal["post", "comment", "mention", "message"]
Activity = Literal["message", "mention", "share", "view", "save", "quote"]
"""What people do on a platform by themselves, besides following, reacting and commenting."""

PEOPLE_PER_COMMUNITY: Final = 1_000_000
"""Persons are numbered; each community has its own range, so that no two share a customer."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A community as it was founded."""

    key: str
    """Also its name in addresses: `@key`, `vk.com/key`."""
    platform: str
    number: int
    """Counts the communities of all platforms from 1; people's numbers follow from it."""
    title: str
    about: str
    language: Language
    theme: Theme
    size: int
    """Followers when its history begins."""
    busy: bool
    """So many things happen that somebody who watches sees figures move."""
    activities: frozenset[Activity]
    """`view`: the platform counts views and reach."""
    snowflakes: bool
    """Ids are milliseconds and a counter, unique on the platform (else: 1, 2, 3 … on each wall)."""
    external_id: str
    """The community's id on its platform."""
    nested: bool = True
    """A post's comments are counted at any depth (else: direct answers alone)."""


@dataclass(slots=True)
class Entry:
    """Something written: a post, a comment, a mention or a direct message."""

    id: int
    kind: EntryKind
    at: int
    text: str
    person: int | None
    """Who wrote it; None for the community itself."""
    peer: int | None = None
    """Whose conversation a direct message belongs to."""
    number: int = 0
    """The count of a direct message within its conversation, from 1."""
    post: int | None = None
    parent: int | None = None
    """What it answers, if that is not the post itself."""
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
    replies: list[int] = field(default_factory=list)
    """Direct answers, oldest first, deleted ones left out unless they have answers themselves."""
    comments: int = 0
    """Of a post: comments at any depth that are not deleted."""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Media:
    """An image that was uploaded. Its bytes are not kept."""

    id: str
    at: int
    type: str
    """As HTTP names it: `image/png`."""
    size: int
    """Bytes."""
    detail: dict[str, object]
    """What the wire format wants to know of it later."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The community is told that somebody did something."""

    id: int
    at: int
    type: Literal["mention", "follow", "favourite", "reblog"]
    person: int
    entry: int | None = None


class Followers:
    """Who follows; joining, leaving and picking one by chance take constant time."""

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
    """Counts the community's conversations from 1."""
    person: int
    messages: list[int] = field(default_factory=list)
    unread: int = 0
    """Customer's messages since the community last wrote."""


@dataclass(slots=True)
class Community:
    """A community as it is now."""

    profile: Profile
    followers: Followers = field(default_factory=Followers)
    latest_person: int = 0
    wall: dict[int, Entry] = field(default_factory=dict)
    """Posts, comments and mentions by id."""
    posts: list[int] = field(default_factory=list)
    """Posts that stand, oldest first."""
    authored: list[int] = field(default_factory=list)
    """Posts and public answers of the community that stand, oldest first."""
    loose: deque[int] = field(default_factory=deque)
    """Mentions under no post, oldest first."""
    mail: dict[int, Entry] = field(default_factory=dict)
    """Direct messages by id."""
    media: OrderedDict[str, Media] = field(default_factory=OrderedDict)
    """Uploaded images by id, oldest first."""
    dialogs: OrderedDict[int, Dialog] = field(default_factory=OrderedDict)
    """By person; the one written in last comes last."""
    mentions: deque[Notice] = field(default_factory=lambda: deque(maxlen=5000))
    notices: deque[Notice] = field(default_factory=lambda: deque(maxlen=2000))
    """Follows, favourites and boosts, apart from mentions so that they do not crowd them out."""
    last_wall_id: int = 0
    last_mail_id: int = 0
    uploads: int = 0
    dialogs_opened: int = 0

    @property
    def key(self) -> str:
        return self.profile.key

    def number_of(self, index: int) -> int:
        """The person's number in the range of this community."""
        return self.profile.number * PEOPLE_PER_COMMUNITY + index
