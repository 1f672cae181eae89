"""What some adapters can do beyond `contract.Adapter`: a protocol for each capability."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import httpx

from app.platforms.contract import (
    Credentials,
    LimitScope,
    MessageKind,
    Page,
    PostMetrics,
    RemoteMessage,
    RemotePerson,
    RemotePost,
    SendReceipt,
    Token,
)

# ── reading ───────────────────────────────────────────────────────────────────────────────────────


@runtime_checkable
class ListsComments(Protocol):
    """Comments can be listed post by post (where `conversations` does not return them all)."""

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """The comments below one post (see `Page`).

        Replies appear anywhere in a tree of comments, so the next scan may return all of it again:
        start one when the post's `Metric.COMMENTS` has changed.
        """
        ...


@runtime_checkable
class ChecksComments(Protocol):
    """Comments below a deleted one exist, and are not listed with the post's: each has to be looked up by itself."""

    async def existing_comments(self, c: Credentials, ids: tuple[str, ...]) -> frozenset[str]:
        """Those of these comments, at most `Spec.metrics_batch`, that exist."""
        ...


@runtime_checkable
class ListsSeparately(Protocol):
    """What `Adapter.conversations` returns is in several lists, each of which may fail while the others can be read."""

    def conversation_lists(self, c: Credentials) -> tuple[str, ...]:
        """The names of the lists that these tokens may read."""
        ...

    async def conversation_list(
        self, c: Credentials, name: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """One list (see `Page`), with a cursor of its own."""
        ...


@dataclass(frozen=True, slots=True)
class PostRef:
    """A post, with the community it belongs to."""

    community_id: str
    """The community's id on the platform."""
    post_id: str


@runtime_checkable
class MeasuresAcross(Protocol):
    """One request can measure posts of several communities that share the token (or need none)."""

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """As `Adapter.metrics`, for posts of any community; `c` may be any of those that share the token."""
        ...


@dataclass(frozen=True, slots=True)
class UnparsedEvent:
    """An event that the adapter cannot parse."""

    payload: str = field(repr=False)
    """As it was received, for `Receives.parse_event`, and without any secret."""
    why: str
    """The reason, for people."""


@dataclass(frozen=True, slots=True)
class MessageChange:
    """A change of a message, where the event contains nothing but the message's id and what has changed."""

    external_id: str
    at: datetime
    text: str | None = None
    """Its text since it was edited; None: it was not."""
    hidden: bool | None = None
    """Whether it is hidden now; None: that has not changed."""


@dataclass(frozen=True, slots=True)
class JoinOrLeave:
    """An account joined a community, or left it."""

    account_id: str
    at: datetime
    joined: bool
    """False: it left."""
    invite_link: str | None = None
    """The invite link through which it joined, or the beginning of it, where the platform says so."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a community that the platform has sent."""

    event_id: str | None
    """The platform's id of the event, by which repeats are recognised; None: the event is not stored."""
    account_id: str | None
    """The community's id on the platform, or one of its `aliases`."""
    messages: tuple[RemoteMessage, ...] = ()
    posts: tuple[RemotePost, ...] = ()
    deleted_ids: tuple[str, ...] = ()
    """Messages that were deleted."""
    metrics: tuple[PostMetrics, ...] = ()
    """Counters as they were at `at`; those that the event does not contain are neither there nor `missing`."""
    at: datetime | None = None
    """The platform's time of the event; required with `metrics`."""
    undated: bool = False
    """The platform does not say when it happened: its messages were sent, and its members joined or left, when it was
    received, whatever they say themselves."""
    unparsed: UnparsedEvent | None = None
    """The event itself, where it cannot be parsed: it is stored, and parsed again by later versions."""
    changes: tuple[MessageChange, ...] = ()
    """Messages that were edited, hidden or shown again."""
    members: tuple[JoinOrLeave, ...] = ()
    """Who joined the community or left it."""
    announced: tuple[str, ...] = ()
    """References of messages that the event does not contain, for `ReadsAnnounced.announced`."""


def unparsed_event(payload: bytes, why: str, account_id: str | None = None) -> Event:
    """An event that cannot be parsed; its id is the hash of its content."""
    # PostgreSQL can store neither a NUL nor invalid UTF-8 in a text; valid JSON contains neither.
    text = payload.decode("utf-8", "replace").replace("\x00", "")
    return Event(f"unparsed-{hashlib.sha256(payload).hexdigest()}", account_id, unparsed=UnparsedEvent(text, why))


@runtime_checkable
class ReadsAnnounced(Protocol):
    """Some events announce a message without its content (Instagram's mentions), which can be read then."""

    async def announced(self, c: Credentials, reference: str) -> RemoteMessage:
        """The message of one of `Event.announced`; `Gone` where it does not exist any more."""
        ...


@runtime_checkable
class Streams(Protocol):
    """Events are read as one stream, for all communities of a token (Telegram)."""

    async def updates(self, c: Credentials, cursor: str | None) -> Page[Event]:
        """The events after `cursor`, oldest first; a request with a cursor deletes the events before it.

        Empty while the platform sends them to a hook instead. Events that cannot be parsed are included, as `unparsed`.
        """
        ...


# ── writing ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """The message that a reply answers."""

    external_id: str
    thread_id: str
    kind: MessageKind
    author: RemotePerson
    post_id: str | None
    late: bool = False
    """The customer's last message is older than `Spec.reply_window`."""
    by_person: bool = True
    """A person wrote the reply, and not a script."""


@runtime_checkable
class Replies(Protocol):
    """Messages can be answered through the API."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Reply to a customer. With the same `key` the reply may be sent again for `Spec.replies_dedup_window`, except
        where `FindsReplies` says otherwise of the server.

        Raises `OutcomeUnknown` when the request may have been accepted.
        """
        ...


@dataclass(frozen=True, slots=True)
class StartedChat:
    """A private chat that somebody has started with a bot, by a link with a code."""

    chat_id: str
    code: str


@runtime_checkable
class Notifies(Protocol):
    """A bot of the agency's own can write to people who have started a chat with it."""

    @staticmethod
    def start_link(bot: str, code: str) -> str:
        """The address that starts a chat with the bot of this name; the code is 1 to 64 letters, digits, `_`, `-`."""
        ...

    async def bot_name(self, c: Credentials) -> str:
        """The name of the token's bot, for `start_link`."""
        ...

    async def started_chats(self, c: Credentials, cursor: str | None) -> Page[StartedChat]:
        """Chats that were started after `cursor`; a request with a cursor deletes what is before it."""
        ...

    async def notify(self, c: Credentials, chat_id: str, text: str) -> SendReceipt:
        """Write to a person in their chat. A repeat is another message. Raises `OutcomeUnknown` as `reply` does."""
        ...


@runtime_checkable
class FindsReplies(Protocol):
    """Whether a repeated reply is dropped depends on the community's server, where a sent reply can be looked up."""

    async def drops_repeats(self, c: Credentials) -> bool:
        """Whether this server surely drops a reply that is repeated with the same key."""
        ...

    async def find_replies(self, c: Credentials, to: ReplyTo, text: str, since: datetime) -> tuple[SendReceipt, ...]:
        """The community's own replies with this text to this message, sent after `since`, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a post."""

    content: bytes = field(repr=False)
    media_type: str
    alt: str = ""
    """The alternative text."""
    url: str | None = None
    """Where the platform may fetch it; required where `Publishing.by_url`."""

    def as_file(self) -> tuple[str, bytes, str]:
        """The picture as a part of a multipart form: its file name, content and media type."""
        return f"picture.{self.media_type.rpartition('/')[2]}", self.content, self.media_type


@dataclass(frozen=True, slots=True)
class OutgoingPost:
    """A post to be published. `outgoing.problems` lists the reasons for which a platform would refuse it."""

    text: str
    pictures: tuple[Picture, ...] = ()


@runtime_checkable
class Publishes(Protocol):
    """Posts can be published through the API."""

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Publish as the community. With the same `key` it may be called again for `Publishing.dedup_window`.

        The steps before the last one (uploads) may be repeated and fail as reads do; the last step is sent once.
        Raises `Rejected` before any request where `outgoing.check` does, and `OutcomeUnknown` when the post may have
        been published.
        """
        ...


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that the platform has just issued."""

    text: str = field(repr=False)
    lifetime: timedelta | None
    """From now; None where the token does not expire."""

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError("a token is never empty")


@runtime_checkable
class Refreshes(Protocol):
    """Tokens expire, and new ones can be fetched without a person."""

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        """The kinds of token that `refresh` can renew, or fetch at first, with these tokens and app settings."""
        ...

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        """Fetch new tokens: those returned replace the old ones, the others stay.

        The request is sent once, because some platforms accept a refresh token only once. Raises `AuthExpired`
        where a person must reconnect, and `OutcomeUnknown` where no response arrived.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenState:
    """What the platform reports about a token."""

    missing_scopes: tuple[str, ...] = ()
    """Those of `Spec.scopes` that the token does not have."""
    lifetime: timedelta | None = None
    """From now; None where the token does not expire, or the platform does not say."""


@runtime_checkable
class Inspects(Protocol):
    """The platform reports a token's permissions and lifetime."""

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The state of each token that the platform reports on; `AuthExpired` for one that is not valid."""
        ...


# ── limits ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a rate limit is used, as the platform counts it."""

    share: float
    """0 to 1, and above where the limit is exceeded."""
    scope: LimitScope
    resets_in: float | None = None
    """Seconds until requests are accepted again; None where the platform does not say."""


@runtime_checkable
class ReportsUsage(Protocol):
    """Responses report how much of the rate limits is used (Graph, Bluesky, Mastodon)."""

    @classmethod
    def usage(cls, response: httpx.Response) -> Usage | None:
        """The rate limit of which a response reports the largest share; None where it reports none."""
        ...


# ── hooks ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A platform's request to an inbound hook, as it was received."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """By names in lower case, or a case-insensitive mapping."""
    query: Mapping[str, str] = field(repr=False)
    source: str | None = None
    """The client's network address."""


@dataclass(frozen=True, slots=True)
class HookResult:
    """The events of a request, and the response's body that the platform expects."""

    response_body: str
    events: tuple[Event, ...] = ()


@runtime_checkable
class Receives(Protocol):
    """The platform sends events to an inbound hook."""

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        """Verify and parse one request, from its raw bytes.

        `secrets` are this hook's (`Spec.hook_secrets`). Raises `MissingPermission` where the signature or secret
        is missing or wrong, and `Malformed` where not even the community can be read from the body.
        Events of kinds that are not used are left out. An event that cannot be parsed is included, as `unparsed`,
        and acknowledged like any other: a repeat could not be parsed either, and platforms stop sending to a hook
        that fails too often.
        """
        ...

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        """The events of a verified request's body, or of an `UnparsedEvent.payload`. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class HookState:
    """What the platform reports about a hook."""

    subscribed: bool
    """The platform sends events to this address."""
    delivering: bool | None = None
    """Its last events were accepted; None where it does not say."""
    waiting: int | None = None
    """The number of events that wait to be sent; None where it does not say."""
    detail: str = ""
    """The platform's problem with the hook, for people."""
    outdated: bool = False
    """It sends to this address, but not all kinds of event that this version reads: it is to be subscribed again."""


@runtime_checkable
class Subscribes(Protocol):
    """The hook can be set at the platform, and its state read, through the API."""

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Have events sent to `url`; idempotent. Returns the secrets that the platform has chosen."""
        ...

    async def subscription(self, c: Credentials, url: str) -> HookState:
        """The state of the hook at the platform, which a community's health reports."""
        ...


@runtime_checkable
class Unsubscribes(Protocol):
    """A closed hook can be removed at the platform, which would otherwise go on calling an address that is gone.

    Where events cannot be polled while a hook is set (Telegram), it must be.
    """

    async def unsubscribe(self, c: Credentials, url: str) -> None:
        """Have no more events sent to `url`; idempotent, and hooks with other addresses stay."""
        ...
