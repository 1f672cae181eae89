"""What an adapter is: the words in which a platform answers us.

An adapter translates between one platform's HTTP API and the types below, and does nothing else.
It knows no database, no settings, no clock, and it never retries: the caller owns budgets,
retries, cursors and the moment. Every failure leaves as a `PlatformError`, and no token ever
appears in one.

    PlatformError
    ├── Throttled           too many calls: when to come back, and whom it concerns
    ├── AuthExpired         the token is no longer good: a person must reconnect
    ├── MissingPermission   the token is good but may not do this: names the scopes
    ├── Rejected            the platform refused the content; a person can mend it
    ├── Gone                the thing asked for does not exist (any more)
    ├── Transient           the platform is unwell; trying later is right
    ├── Malformed           the answer cannot be understood; what is known of it is kept
    └── OutcomeUnknown      a change was sent and no answer came: it may or may not have happened
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import httpx

T_co = TypeVar("T_co", covariant=True)


class Metric(StrEnum):
    """A cumulative counter of a post. One a platform does not give is absent, never 0."""

    VIEWS = "views"
    REACH = "reach"
    REACTIONS = "reactions"
    COMMENTS = "comments"
    SHARES = "shares"
    QUOTES = "quotes"
    SAVES = "saves"


class MetricStatus(StrEnum):
    """Why a metric has, or has not, a value."""

    OK = "ok"
    UNSUPPORTED = "unsupported"
    PENDING = "pending"
    NO_PERMISSION = "no_permission"
    ERROR = "error"


class Token(StrEnum):
    """The kinds of token a platform may need, some of them two at once (VK)."""

    USER = "user"
    COMMUNITY = "community"


class Scope(StrEnum):
    """Whom a limit concerns."""

    TOKEN = "token"
    ADDRESS = "address"
    APP = "app"
    COMMUNITY = "community"


class MessageKind(StrEnum):
    """How a customer speaks to a community."""

    COMMENT = "comment"
    MESSAGE = "message"
    MENTION = "mention"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `calls` calls in `seconds`, counted for each `scope`."""

    calls: int
    seconds: int
    scope: Scope


@dataclass(frozen=True, slots=True)
class Spec:
    """What a platform is, for planners, for people and for `GET /v1/platforms`."""

    key: str
    title: str
    api_version: str
    base_url: str | None
    """The API's address; None where it follows from the community's address (Mastodon)."""
    metrics: frozenset[Metric]
    budgets: tuple[Budget, ...]
    metrics_batch: int
    """How many posts one `metrics` call takes."""
    text_limit: int
    """Characters of one post."""
    tokens: frozenset[Token]
    """The kinds of token it knows how to use."""
    public: bool
    """Size and posts can be read without any token."""
    address_hint: str
    """An address as a person would type it, for messages and documentation."""
    replies_remembered: timedelta | None = None
    """For how long a reply repeated with the same key is dropped; None where it would be sent twice."""
    hook_secrets: frozenset[str] = frozenset()
    """The names of the secrets that `Receives.receive` needs; empty where the platform never calls us."""


@dataclass(frozen=True, slots=True)
class Address:
    """A community's address in one canonical spelling, so that two spellings are one community."""

    canonical: str
    """For people and for uniqueness: `https://mastodon.social/@gargron`, `https://vk.com/club1`."""
    base_url: str | None = None
    """The API's address, where it follows from the community's."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whom to ask about, and with what: everything an adapter needs to know for a call."""

    address: str
    base_url: str
    external_id: str | None = None
    """The community's id on the platform; None until `community` has found it."""
    tokens: Mapping[Token, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class CommunitySnapshot:
    """A community as the platform shows it now."""

    external_id: str
    title: str
    url: str
    size: int | None
    """Followers, subscribers or members; None where the platform hides it."""


@dataclass(frozen=True, slots=True)
class PostMetrics:
    """One post's counters as the platform gives them now.

    Every `Metric` is either in `counters` or in `missing` with its reason.
    """

    external_id: str
    counters: Mapping[Metric, int]
    missing: Mapping[Metric, MetricStatus] = field(default_factory=dict)
    gone: bool = False
    """The post was deleted; `counters` and `missing` are then empty."""


@dataclass(frozen=True, slots=True)
class RemotePost:
    """A post as it stands on the platform."""

    external_id: str
    url: str
    text: str
    """Plain text: markup is taken out."""
    published_at: datetime
    metrics: PostMetrics
    edited_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RemotePerson:
    """Who wrote something."""

    external_id: str
    name: str
    """Empty where this answer does not bring it (VK's hooks): what is known already stays."""
    url: str | None = None
    is_community: bool = False
    """The community itself wrote it: an answer of the agency's, not a customer's words."""


@dataclass(frozen=True, slots=True)
class RemoteMessage:
    """A comment, a direct message, a mention or a review."""

    external_id: str
    """Unique within the community, comments and messages together."""
    thread_id: str
    """What belongs to one conversation with one customer shares it, the community's answers too."""
    kind: MessageKind
    author: RemotePerson
    text: str
    """Plain text; empty where the message is an attachment alone, or deleted."""
    sent_at: datetime
    url: str | None = None
    post_id: str | None = None
    """The community's post it stands under."""
    in_reply_to: str | None = None
    edited_at: datetime | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """A part of a walk.

    The first walk starts with `cursor=None`, at the newest item, and goes back in time as long as
    `more`. Each cursor is stored together with its items, so that a walk goes on after a crash.
    When `more` is False the walk is complete, and its cursor, given again later, starts the next
    one: what is newer than everything seen, in the order that suits the platform.

    An item may come twice, within a walk or from one to the next (the caller drops repeats, and
    takes what changed), but none is passed over, whatever appears or vanishes meanwhile. A page
    may be empty and have `more`.

    `since`, given to each call of a walk, says that older items are not wanted: they are left
    out, and a walk that reaches them is complete. The cursor is then as good as after a full walk.
    """

    items: tuple[T_co, ...]
    cursor: str | None
    more: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """A change the platform says it has accepted."""

    external_id: str
    sent_at: datetime | None = None
    url: str | None = None


class PlatformError(Exception):
    """A platform did not do what was asked. `message` is for people and holds no secret."""

    code: ClassVar[str] = "platform-error"

    def __init__(self, message: str, *, platform_code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.platform_code = platform_code


class Throttled(PlatformError):
    """Too many calls. `retry_after` is in seconds, None where the platform does not say."""

    code = "throttled"

    def __init__(
        self, message: str, *, retry_after: float | None, scope: Scope, platform_code: str | None = None
    ) -> None:
        super().__init__(message, platform_code=platform_code)
        self.retry_after = retry_after
        self.scope = scope


class AuthExpired(PlatformError):
    """The token `token` is expired, revoked or missing."""

    code = "auth-expired"

    def __init__(self, message: str, *, token: Token | None = None, platform_code: str | None = None) -> None:
        super().__init__(message, platform_code=platform_code)
        self.token = token


class MissingPermission(PlatformError):
    """The token may not do this; `scopes` are the permissions it lacks, where they are known."""

    code = "missing-permission"

    def __init__(self, message: str, *, scopes: tuple[str, ...] = (), platform_code: str | None = None) -> None:
        super().__init__(message, platform_code=platform_code)
        self.scopes = scopes


class Rejected(PlatformError):
    """The platform refused this very request; repeating it unchanged is useless."""

    code = "rejected"


class Gone(PlatformError):
    """What was asked for does not exist, or not any more."""

    code = "gone"


class Transient(PlatformError):
    """The platform is unwell or out of reach; nothing is known to have changed there."""

    code = "transient"


class Malformed(PlatformError):
    """The platform answered something that cannot be understood."""

    code = "malformed"


class OutcomeUnknown(PlatformError):
    """A change was sent and its answer did not come: look before sending it again."""

    code = "outcome-unknown"


class Adapter(Protocol):
    """What every platform can do. Further abilities are the protocols below."""

    spec: ClassVar[Spec]

    def __init__(self, http: httpx.AsyncClient) -> None: ...

    @classmethod
    def address(cls, text: str) -> Address:
        """Understand what a person typed; `ValueError`, worded for that person, where it is no address."""
        ...

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """The community itself: its id, name and size."""
        ...

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """The community's own posts, newest first (see `Page`)."""
        ...

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """The counters of up to `spec.metrics_batch` posts, one record for each id, in its order.

        `ValueError` for more of them.
        """
        ...

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """What customers wrote that the platform lists for the whole community (see `Page`).

        Where the community's tokens allow no such list, an empty page.
        """
        ...

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """What an answer says went wrong; None where nothing did."""
        ...


@runtime_checkable
class ListsComments(Protocol):
    """Comments can be listed post by post (where `conversations` does not bring them all)."""

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """The comments under one post, walked as `Page` says.

        Answers appear anywhere in a tree of comments, so the next walk may bring all of it again:
        start one when the post's `Metric.COMMENTS` has changed.
        """
        ...


@runtime_checkable
class Replies(Protocol):
    """A message can be answered through the platform."""

    async def reply(self, c: Credentials, to: "ReplyTo", text: str, key: str) -> Sent:
        """Answer a customer. `key` makes a repeat harmless where the platform has a field for it.

        Raises `OutcomeUnknown` when the request may have been accepted.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """The message that is answered."""

    external_id: str
    thread_id: str
    kind: MessageKind
    author: RemotePerson
    post_id: str | None


@dataclass(frozen=True, slots=True)
class Inbound:
    """What a platform's hook brought: at most one of the three last ones concerns us."""

    event_id: str | None
    """The platform's id of the event; None for one that carries none (a challenge)."""
    account_id: str | None
    """The community's id on the platform."""
    answer: str
    """The body the platform expects back."""
    messages: tuple[RemoteMessage, ...] = ()
    posts: tuple[RemotePost, ...] = ()
    deleted_ids: tuple[str, ...] = ()


@runtime_checkable
class Receives(Protocol):
    """The platform calls us when something happens."""

    @classmethod
    def receive(
        cls, body: bytes, headers: Mapping[str, str], query: Mapping[str, str], secrets: Mapping[str, str]
    ) -> Inbound:
        """Verify and understand one call, from its raw bytes.

        `secrets` are this hook's (`secret`, `confirmation` …). Raises `MissingPermission` when the
        signature or secret is missing or wrong, `Malformed` when the body is not understood.
        """
        ...
