"""What an adapter is, and the types in which a platform's responses reach the caller. Optional parts of the
contract are the protocols of `capabilities`.

An adapter translates between one platform's HTTP API and the types below, and does nothing else. It knows no
database, no settings and no clock, and it never retries: rate limits, retries, cursors and times are the caller's.
Every failure is raised as a `PlatformError` (see `errors`), and no token ever appears in one.

What an adapter imports is here: `spec` and `errors` are re-exported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Generic, Protocol, TypeVar

import httpx

from app.platforms.errors import (
    AuthExpired,
    Bypass,
    Gone,
    Malformed,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    TokenMissing,
    Transient,
    Unreadable,
    Unsupported,
)
from app.platforms.spec import (
    CALLS,
    COST,
    Cost,
    LimitScope,
    Metric,
    Publishing,
    RateLimit,
    Spec,
    TextLimit,
    TextUnit,
    Token,
)

__all__ = [
    "CALLS",
    "COST",
    "Adapter",
    "Address",
    "Attachment",
    "AttachmentKind",
    "AuthExpired",
    "Bypass",
    "CommunityIdentity",
    "CommunitySnapshot",
    "Cost",
    "Credentials",
    "Gone",
    "LimitScope",
    "Malformed",
    "MessageKind",
    "Metric",
    "MetricStatus",
    "MissingPermission",
    "OutcomeUnknown",
    "Page",
    "PlatformError",
    "PostMetrics",
    "Publishing",
    "RateLimit",
    "Rejected",
    "RemoteMessage",
    "RemotePerson",
    "RemotePost",
    "SendReceipt",
    "Spec",
    "TextLimit",
    "TextUnit",
    "Throttled",
    "Token",
    "TokenMissing",
    "Transient",
    "Unreadable",
    "Unsupported",
    "thread_of_answers",
]

T_co = TypeVar("T_co", covariant=True)


class MetricStatus(StrEnum):
    """Why a metric has, or has not, a value."""

    OK = "ok"
    UNSUPPORTED = "unsupported"
    PENDING = "pending"
    NO_PERMISSION = "no_permission"
    ERROR = "error"


class MessageKind(StrEnum):
    """How a customer writes to a community."""

    COMMENT = "comment"
    MESSAGE = "message"
    MENTION = "mention"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Address:
    """A community's address in one canonical spelling, so that two spellings are one community."""

    canonical: str
    """For people and for uniqueness: `https://mastodon.social/@gargron`, `https://vk.com/club1`."""
    base_url: str | None = None
    """The API's address, where it follows from the community's."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The community that a call is about, and the tokens for it: all that an adapter needs to make the call."""

    address: str
    base_url: str
    external_id: str | None = None
    """The community's id on the platform; None until `Adapter.community` has returned it."""
    tokens: Mapping[Token, str] = field(default_factory=dict, repr=False)
    app: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The settings of the installation's own application, by the names in `Spec.app_settings`."""
    aliases: frozenset[str] = frozenset()
    """As in `CommunitySnapshot`; empty until `Adapter.community` has returned them."""


@dataclass(frozen=True, slots=True)
class CommunityIdentity:
    """All ids and addresses by which a community is known here."""

    addresses: tuple[str, ...]
    """As it was connected, and as the platform returned it: one may have the name, the other the number."""
    external_id: str | None = None
    """None until the community was read."""
    aliases: frozenset[str] = frozenset()
    """As in `CommunitySnapshot`."""


@dataclass(frozen=True, slots=True)
class CommunitySnapshot:
    """A community as the platform shows it now."""

    external_id: str
    title: str
    url: str
    size: int | None
    """Followers, subscribers or members; None where the platform hides it."""
    aliases: frozenset[str] = frozenset()
    """Other ids by which events name the community (the discussion group of a Telegram channel)."""
    base_url: str | None = None
    """The API's address, where it turned out to be another one than `Address.base_url`: used from then on."""


@dataclass(frozen=True, slots=True)
class PostMetrics:
    """One post's counters as the platform reports them now.

    Every `Metric` is either in `counters` or in `missing` with its reason.
    """

    external_id: str
    counters: Mapping[Metric, int]
    missing: Mapping[Metric, MetricStatus] = field(default_factory=dict)
    gone: bool = False
    """The post was deleted; `counters` and `missing` are then empty."""


@dataclass(frozen=True, slots=True)
class RemotePost:
    """A post as it is on the platform now."""

    external_id: str
    url: str
    text: str
    """Plain text, without markup."""
    published_at: datetime
    metrics: PostMetrics
    edited_at: datetime | None = None
    album: str | None = None
    """Equal for events of the parts of one album, which together are one post: that of the part with the lowest id."""


@dataclass(frozen=True, slots=True)
class RemotePerson:
    """The author of a message."""

    external_id: str
    name: str
    """Empty where the response does not contain it (VK's events): the stored name stays."""
    url: str | None = None
    is_community: bool = False
    """The author is the community itself: the message is the agency's reply, not a customer's."""


def thread_of_answers(external_id: str) -> str:
    """The `thread_id` of the community's own answers to a message, until that message's thread is known."""
    return f"answers:{external_id}"


class AttachmentKind(StrEnum):
    """What is attached to a message."""

    PICTURE = "picture"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice"
    FILE = "file"
    STICKER = "sticker"
    LINK = "link"
    LOCATION = "location"
    CONTACT = "contact"
    POLL = "poll"
    POST = "post"
    """Another post, a story or a forwarded message."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is attached to a message; its content is not read. Made by `attachments.attachment`."""

    kind: AttachmentKind
    url: str | None = None
    """Its web address; the platform may let it expire. None where there is none without a token (Telegram)."""
    name: str = ""
    """A file's name, a title, or the description that its author gave; empty where there is none."""


@dataclass(frozen=True, slots=True)
class RemoteMessage:
    """A comment, a direct message, a mention or a review."""

    external_id: str
    """Unique within the community, comments and messages together."""
    thread_id: str
    """Shared by all messages of one conversation with one customer, the community's replies included."""
    kind: MessageKind
    author: RemotePerson
    text: str
    """Plain text; empty for a message that is only an attachment, or is deleted."""
    sent_at: datetime
    url: str | None = None
    post_id: str | None = None
    """The community's post to which the message belongs."""
    in_reply_to: str | None = None
    edited_at: datetime | None = None
    deleted: bool = False
    written_by_id: str | None = None
    """Of a community's own message: the platform's account of the person who wrote it in the community's name."""
    dated_by_author: bool = False
    """`sent_at` is what the author's server claims, and the platform has no date of its own: the caller bounds it."""
    restored: bool = False
    """It had been deleted, and the platform reports it restored. Being listed again is not enough to set this."""
    guesses_thread: bool = False
    """`thread_id` holds unless the message answers one by the same customer, or is the community's own answer: then the
    thread is that of what it answers. The report does not say which one that is."""
    renames_thread: bool = False
    """`thread_id` is made of the customer's name or id, and this report knows them best: a stored thread that has the
    message under another id is the same one."""
    hidden: bool | None = None
    """A moderator has hidden it from the public; None where the report does not say."""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """One page of a list, and the cursor of the next.

    A *scan* of a list is a sequence of calls, each with the cursor of the one before. The first scan begins with
    `cursor=None` at the latest item and goes back in time while `more` is True. Each cursor is stored together with
    the page's items, so that a scan continues after a crash. When `more` is False the scan is complete, and its
    cursor begins the next scan, which returns what is later than everything seen, in an order that suits the platform.

    An item may be returned twice, within a scan or in two of them (the caller drops repeats, and stores what has
    changed), but none is skipped, whatever appears or vanishes meanwhile. A page may be empty and have `more`.

    `since`, passed to each call of a scan, leaves older items out and completes a scan that reaches them. The cursor
    is then as good as after a full scan.
    """

    items: tuple[T_co, ...]
    cursor: str | None
    more: bool
    complete: bool = True
    """False where the platform cuts the list off: that an item is not in it then says nothing."""
    posts: "tuple[RemotePost, ...]" = ()
    """Of `Spec.posts_list`: the posts of this page."""


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """A change that the platform has confirmed: a post or a reply."""

    external_id: str
    sent_at: datetime | None = None
    url: str | None = None


class Adapter(Protocol):
    """What every adapter can do. The rest are the protocols of `capabilities`."""

    spec: ClassVar[Spec]

    def __init__(self, http: httpx.AsyncClient) -> None: ...

    @classmethod
    def address(cls, text: str) -> Address:
        """Parse what a person typed; `ValueError`, worded for that person, where it is no address."""
        ...

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        """What identifies a post of this community in an address; equal for all addresses of the post.

        It is the post's `external_id` where an address contains that, and else what the address in `RemotePost.url`
        contains too (Instagram's shortcode). None for any other address, and for another community's post.
        """
        ...

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """The community itself: its id, title and size."""
        ...

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """The community's own posts, latest first (see `Page`)."""
        ...

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """The counters of up to `spec.metrics_batch` posts, one record for each id, in its order.

        Raises `ValueError` for more of them.
        """
        ...

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """What customers wrote, where the platform lists it for the whole community (see `Page`).

        An empty page where the community's tokens allow no such list.
        """
        ...

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """The error that a response reports; None where it reports none."""
        ...
