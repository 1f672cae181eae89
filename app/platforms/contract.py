"""What an adapter is: the words in which a platform answers us. What some can do besides: `abilities`.

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
from typing import ClassVar, Final, Generic, Protocol, TypeVar

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
    """The kinds of token a platform may need, some of them several at once (VK, YouTube)."""

    USER = "user"
    """A person's, an administrator of the community."""
    COMMUNITY = "community"
    """The community's own: a group's, a page's, a bot's, an account's."""
    APP = "app"
    """An application's key, which stands for nobody (YouTube)."""
    REFRESH = "refresh"
    """Good for fetching the others, and nothing else."""
    PASSWORD = "password"
    """An application's password, with which a session is opened (Bluesky)."""


class LimitScope(StrEnum):
    """Whom a limit concerns."""

    TOKEN = "token"
    ADDRESS = "address"
    """Our own network address."""
    APP = "app"
    """The installation's application (`Spec.app_settings`)."""
    COMMUNITY = "community"
    """One community, or one chat (`Cost.target`), whichever token is used."""


class MessageKind(StrEnum):
    """How a customer speaks to a community."""

    COMMENT = "comment"
    MESSAGE = "message"
    MENTION = "mention"
    REVIEW = "review"


CALLS: Final = "calls"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `calls` calls in `seconds`, counted for each `scope`."""

    calls: int
    """Calls, or the units that a `Cost` names (YouTube's quota)."""
    seconds: int
    scope: LimitScope
    name: str = CALLS
    """What is counted: each request counts once under `calls`, if its `Cost` says nothing else."""
    token: Token | None = None
    """Only requests made with this kind of token; None: with any, or none."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request takes from the budgets. An adapter puts it into the request's `extensions` under
    `COST` where the default does not fit: one call of the token in its `authorization` header.
    """

    token: str = field(default="", repr=False)
    """The token it is made with; empty: none. It is only ever hashed."""
    kind: Token | None = None
    units: Mapping[str, int] = field(default_factory=lambda: {CALLS: 1})
    """By `RateLimit.name`; a budget that is not named is not touched."""
    target: str = ""
    """The community or chat concerned, for budgets of `LimitScope.COMMUNITY`."""


COST: Final = "instep.cost"
"""The name of a `Cost` in a request's `extensions`."""


@dataclass(frozen=True, slots=True)
class Publishing:
    """What a post may consist of; its text's limit is `Spec.text_limit`."""

    pictures: int = 0
    """The most pictures in one post; more than one is an album."""
    picture_types: frozenset[str] = frozenset({"image/jpeg", "image/png"})
    picture_bytes: int = 8 * 1024 * 1024
    caption_limit: int | None = None
    """The text's limit where pictures come with it, if that is another one (Telegram)."""
    text_alone: bool = True
    """A post may do without pictures (not so on Instagram)."""
    by_url: bool = False
    """The platform fetches pictures from a public address itself and takes no upload (Instagram)."""
    dedup_window: timedelta | None = None
    """For how long a post repeated with the same key is dropped; None where it would appear twice."""


class TextUnit(StrEnum):
    """In what a text's length is counted."""

    CHARACTERS = "characters"
    UTF16 = "utf16"
    GRAPHEMES = "graphemes"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a platform is, for planners, for people and for `GET /v1/platforms`."""

    key: str
    title: str
    api_version: str
    base_url: str | None
    """The API's address; None where it follows from the community's address (Mastodon)."""
    metrics: frozenset[Metric]
    rate_limits: tuple[RateLimit, ...]
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
    replies_dedup_window: timedelta | None = None
    """For how long a reply repeated with the same key is dropped; None where it would be sent twice."""
    hook_secrets: frozenset[str] = frozenset()
    """The names of the secrets that `Receives.receive` needs; empty where the platform never calls us."""
    hook_manual_secrets: frozenset[str] = frozenset()
    """Those of `hook_secrets` that a person has to give, for nobody can make them up (Meta's app secret)."""
    hook_secret_settings: Mapping[str, str] = field(default_factory=dict)
    """Those of `hook_secrets` that are one of `app_settings` under another name (Meta's app secret)."""
    hook_optional_secrets: frozenset[str] = frozenset()
    """Those of `hook_secrets` that need not be given, nor are they made up (Odnoklassniki's networks)."""
    hook_of_app: bool = False
    """One address takes the events of all communities that an application may see (Meta), not of one; that of the
    installation's own application those of all workspaces.
    """
    text_unit: TextUnit = TextUnit.CHARACTERS
    reply_limit: int | None = None
    """The limit of an answer's text; None: that of a post."""
    publishing: Publishing | None = None
    """None where nothing can be published through the API."""
    app_settings: frozenset[str] = frozenset()
    """What has to be known of the installation's own application (`client_id` …): `Credentials.app`."""
    app_owner: str | None = None
    """Who knows applications, where several platforms know the same ones (Meta): those with one `client_id` are
    one, and share what `LimitScope.APP` counts.
    """
    scopes: Mapping[Token, tuple[str, ...]] = field(default_factory=dict)
    """The permissions each kind of token should have."""
    pushed_metrics: frozenset[Metric] = frozenset()
    """Those of `metrics` that come with events alone and cannot be asked for (Telegram's reactions)."""
    counted_metrics: frozenset[Metric] = frozenset()
    """Those of `metrics` that the platform does not count, so that we count events (Telegram's comments)."""
    metrics_group_tokens: frozenset[Token] = frozenset()
    """For `MeasuresAcross`: communities with the same tokens of these kinds share a call; empty: all do."""
    delayed_metrics: frozenset[Metric] = frozenset()
    """Those of `metrics` that come `metrics_delay` late (Instagram's insights)."""
    metrics_delay: timedelta = timedelta(0)
    """How late; until then such a counter is `pending`."""
    history: bool = True
    """What was there before the community was connected can be read."""


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
    app: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What is known of the installation's own application, by `Spec.app_settings`."""
    aliases: frozenset[str] = frozenset()
    """See `CommunitySnapshot`; empty until `community` has found them."""


@dataclass(frozen=True, slots=True)
class CommunitySnapshot:
    """A community as the platform shows it now."""

    external_id: str
    title: str
    url: str
    size: int | None
    """Followers, subscribers or members; None where the platform hides it."""
    aliases: frozenset[str] = frozenset()
    """Other ids under which events tell of it (the discussion group of a Telegram channel)."""


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
    restored: bool = False
    """It was deleted, and the platform tells that it is back. To be seen without that is no such news."""


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
class SendReceipt:
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
        self, message: str, *, retry_after: float | None, scope: LimitScope, platform_code: str | None = None
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
    """A change was sent and its answer did not come, or is not understood: look before sending it again."""

    code = "outcome-unknown"


class Adapter(Protocol):
    """What every platform can do. Further abilities are the protocols of `abilities`."""

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
