"""What some platforms can do beyond `contract.Adapter`: a protocol for each ability."""

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
    """Comments can be listed post by post (where `conversations` does not bring them all)."""

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """The comments under one post, walked as `Page` says.

        Answers appear anywhere in a tree of comments, so the next walk may bring all of it again:
        start one when the post's `Metric.COMMENTS` has changed.
        """
        ...


@dataclass(frozen=True, slots=True)
class PostRef:
    """A post of one community among posts of several."""

    community_id: str
    """The community's id on the platform."""
    post_id: str


@runtime_checkable
class MeasuresAcross(Protocol):
    """One call takes posts of several communities that share the token (or need none)."""

    async def metrics_across(self, c: Credentials, posts: tuple[PostRef, ...]) -> tuple[PostMetrics, ...]:
        """As `metrics`, for posts of any community; `c` may be any of those that share the token."""
        ...


@dataclass(frozen=True, slots=True)
class UnparsedEvent:
    """Something told that is not understood."""

    payload: str = field(repr=False)
    """As it came, for `Receives.parse_event`, and without any secret."""
    why: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a community, as the platform told it by itself."""

    event_id: str | None
    """The platform's id of the event, by which repeats are known; None: nothing is kept of it."""
    account_id: str | None
    """The community's id on the platform, or one of its `aliases`."""
    messages: tuple[RemoteMessage, ...] = ()
    posts: tuple[RemotePost, ...] = ()
    deleted_ids: tuple[str, ...] = ()
    """Messages that were deleted."""
    metrics: tuple[PostMetrics, ...] = ()
    """Counters as they were at `at`; those the event does not tell are neither there nor `missing`."""
    at: datetime | None = None
    """The platform's moment; needed with `metrics`."""
    unparsed: UnparsedEvent | None = None
    """What was told, where that is not understood: it is kept, and tried again once we have learned more."""


def unparsed_event(payload: bytes, why: str, account_id: str | None = None) -> Event:
    """What a platform has told and is not understood, known by its content."""
    # PostgreSQL keeps neither a NUL nor what is no UTF-8 in a text; JSON has none of both.
    text = payload.decode("utf-8", "replace").replace("\x00", "")
    return Event(f"unparsed-{hashlib.sha256(payload).hexdigest()}", account_id, unparsed=UnparsedEvent(text, why))


@runtime_checkable
class Streams(Protocol):
    """What happens is read as one stream of events, for all communities of a token (Telegram)."""

    async def updates(self, c: Credentials, cursor: str | None) -> Page[Event]:
        """The events after `cursor`, oldest first; reading on from a cursor gives up what is before it.

        Empty while the platform sends them to a hook instead. What is not understood is among them, as `unparsed`.
        """
        ...


# ── writing ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """The message that is answered."""

    external_id: str
    thread_id: str
    kind: MessageKind
    author: RemotePerson
    post_id: str | None


@runtime_checkable
class Replies(Protocol):
    """A message can be answered through the platform."""

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Answer a customer. `key` makes a repeat harmless where the platform has a field for it.

        Raises `OutcomeUnknown` when the request may have been accepted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a post."""

    content: bytes = field(repr=False)
    media_type: str
    alt: str = ""
    """What it shows, for those who do not see it."""
    url: str | None = None
    """Where the platform may fetch it; needed where `Publishing.by_url`."""

    def as_file(self) -> tuple[str, bytes, str]:
        """The picture as a part of a multipart form: its file name, content and media type."""
        return f"picture.{self.media_type.rpartition('/')[2]}", self.content, self.media_type


@dataclass(frozen=True, slots=True)
class OutgoingPost:
    """A post that is to appear. `drafts.check` tells what of it a platform would not take."""

    text: str
    pictures: tuple[Picture, ...] = ()


@runtime_checkable
class Publishes(Protocol):
    """Posts can be published through the platform."""

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """Publish as the community. `key` makes a repeat harmless for `Publishing.dedup_window`.

        What comes before the last step (uploads) may be repeated and fails as a read does; the last
        step is sent once. Raises `Rejected` before the first call where `drafts.check` finds
        something, and `OutcomeUnknown` when the post may have appeared.
        """
        ...


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that was just fetched."""

    text: str = field(repr=False)
    lifetime: timedelta | None
    """From now; None where it does not end by itself."""

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError("a token is never empty")


@runtime_checkable
class Refreshes(Protocol):
    """Tokens end, and new ones can be fetched without a person."""

    @classmethod
    def renewable(cls, tokens: Collection[Token], app: Collection[str]) -> frozenset[Token]:
        """The kinds that `refresh` can renew (or fetch at first) with these tokens and app settings."""
        ...

    async def refresh(self, c: Credentials) -> Mapping[Token, IssuedToken]:
        """Fetch new tokens: those that are named replace the old ones, the others stay.

        Sent once, for some platforms take a refresh token one single time. Raises `AuthExpired`
        where a person must reconnect, and `OutcomeUnknown` where no answer came.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenState:
    """What the platform says about a token."""

    missing_scopes: tuple[str, ...] = ()
    """Those of `Spec.scopes` that it does not have."""
    lifetime: timedelta | None = None
    """From now; None where it does not end, or nobody says."""


@runtime_checkable
class Inspects(Protocol):
    """The platform tells what a token may do and how long it lasts."""

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The state of the tokens of which anything is told; `AuthExpired` for one that is not good."""
        ...


# ── limits ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a limit is used up, as the platform counts it."""

    share: float
    """0 to 1 and above."""
    scope: LimitScope
    resets_in: float | None = None
    """Seconds until it is free again; None where the platform does not say."""


@runtime_checkable
class ReportsUsage(Protocol):
    """Answers tell how much of the limits is used up (Graph, Bluesky, Mastodon)."""

    @classmethod
    def usage(cls, response: httpx.Response) -> Usage | None:
        """The limit that an answer says is nearest to its end; None where it tells of none."""
        ...


# ── hooks ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call of a platform to one of our hooks, as it came."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """By names in lower case, or a mapping that does not mind."""
    query: Mapping[str, str] = field(repr=False)
    source: str | None = None
    """The caller's network address."""


@dataclass(frozen=True, slots=True)
class HookResult:
    """What a call brought, and what the platform expects to hear."""

    answer: str
    events: tuple[Event, ...] = ()


@runtime_checkable
class Receives(Protocol):
    """The platform calls us when something happens."""

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        """Verify and understand one call, from its raw bytes.

        `secrets` are this hook's (`Spec.hook_secrets`). Raises `MissingPermission` when the
        signature or secret is missing or wrong, and `Malformed` when the body is not understood
        so far that it could be told whose it is.
        An event that concerns nobody, or of a kind we have no use for, is not among the events.
        One of the platform's own that is not understood is, as `unparsed`: it gets its answer like any other,
        for to be sent again would bring nothing, and who is refused too often sends nothing any more.
        """
        ...

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        """The events of a call's body, or of an `UnparsedEvent.payload`, that was verified. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class HookState:
    """What the platform says about our hook."""

    subscribed: bool
    """It would send events to this very address."""
    delivering: bool | None = None
    """Its last events were taken; None where it does not say."""
    waiting: int | None = None
    """Events that wait to be sent; None where it does not say."""
    detail: str = ""
    """What it complains of, for people."""


@runtime_checkable
class Subscribes(Protocol):
    """The hook can be set at the platform by us, and asked about."""

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Have events sent to `url`; again is harmless. Secrets that the platform chose come back."""
        ...

    async def subscription(self, c: Credentials, url: str) -> HookState:
        """How the platform sees the hook: the active probe of a community's health."""
        ...


@runtime_checkable
class Unsubscribes(Protocol):
    """As long as a hook is set at the platform nothing can be polled: one that is closed is taken away."""

    async def unsubscribe(self, c: Credentials, url: str) -> None:
        """Have no events sent to `url` any more; again is harmless, and any other address stays."""
        ...
