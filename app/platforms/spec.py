"""What a platform is and what it allows: its metrics, tokens, limits and capabilities, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final


class Metric(StrEnum):
    """A cumulative counter of a post. One that a platform does not give is absent, never 0."""

    VIEWS = "views"
    REACH = "reach"
    REACTIONS = "reactions"
    COMMENTS = "comments"
    SHARES = "shares"
    QUOTES = "quotes"
    SAVES = "saves"


class Token(StrEnum):
    """The kinds of token. A platform may need several at once (VK, YouTube)."""

    USER = "user"
    """Issued to a person who administers the community."""
    COMMUNITY = "community"
    """Issued to the community itself: a group, a page, a bot, an account."""
    APP = "app"
    """An application's key, which represents no user (YouTube)."""
    REFRESH = "refresh"
    """Fetches the other tokens, and does nothing else."""
    PASSWORD = "password"
    """An application's password, with which a session is opened (Bluesky)."""


class NativeChange(StrEnum):
    """What happens on a platform without this service, after a message or post was first read."""

    ANSWER_TO_COMMENT = "answer_to_comment"
    """Somebody of the agency answers in the platform's own app: below a post of the community's own,"""
    ANSWER_TO_MENTION = "answer_to_mention"
    """below another account's,"""
    ANSWER_TO_MESSAGE = "answer_to_message"
    """or in private."""
    COMMENT_EDITED = "comment_edited"
    COMMENT_DELETED = "comment_deleted"
    COMMENT_HIDDEN = "comment_hidden"
    """Or shown again: by a moderator."""
    MENTION_EDITED = "mention_edited"
    MENTION_DELETED = "mention_deleted"
    MESSAGE_EDITED = "message_edited"
    MESSAGE_DELETED = "message_deleted"
    POST_EDITED = "post_edited"
    """A post of the community's own."""


class SeenThrough(StrEnum):
    """What shows a change."""

    EVENT = "event"
    """The platform sends it to the hook."""
    LIST = "list"
    """The list of conversations, or the stream of events."""
    OPEN_THREADS = "open_threads"
    """The comments of posts with open threads are read again."""
    RECENT_POSTS = "recent_posts"
    """Recent posts and their comments are read again, and those of all open threads."""


OF_MENTIONS: Final = frozenset(
    {NativeChange.ANSWER_TO_MENTION, NativeChange.MENTION_EDITED, NativeChange.MENTION_DELETED}
)
OF_MESSAGES: Final = frozenset(
    {NativeChange.ANSWER_TO_MESSAGE, NativeChange.MESSAGE_EDITED, NativeChange.MESSAGE_DELETED}
)
NOWHERE: Final[frozenset[SeenThrough]] = frozenset()
BY_EVENT: Final = frozenset({SeenThrough.EVENT})
BY_LIST: Final = frozenset({SeenThrough.LIST})
REREAD: Final = frozenset({SeenThrough.OPEN_THREADS, SeenThrough.RECENT_POSTS})


class LimitScope(StrEnum):
    """What a rate limit is counted for."""

    TOKEN = "token"
    ADDRESS = "address"
    """The network address from which requests are sent."""
    APP = "app"
    """The installation's application (`Spec.app_settings`)."""
    COMMUNITY = "community"
    """One community, or one chat (`Cost.target`), whichever token is used."""


CALLS: Final = "calls"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `calls` requests in `seconds`, counted for each `scope`."""

    calls: int
    """Requests, or the units that a `Cost` names (YouTube's quota)."""
    seconds: int
    scope: LimitScope
    name: str = CALLS
    """What is counted: each request counts once under `calls`, unless its `Cost` says otherwise."""
    token: Token | None = None
    """Only requests made with this kind of token; None: with any, or none."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request takes from the rate limits. An adapter puts it into the request's `extensions` under
    `COST` where the default does not fit: one call of the token in its `authorization` header.
    """

    token: str = field(default="", repr=False)
    """The token it is made with; empty: none. It is only ever hashed."""
    kind: Token | None = None
    units: Mapping[str, int] = field(default_factory=lambda: {CALLS: 1})
    """By `RateLimit.name`; a rate limit that is not named is not charged."""
    target: str = ""
    """The community or chat concerned, for rate limits of `LimitScope.COMMUNITY`."""


COST: Final = "instep.cost"
"""The name of a `Cost` in a request's `extensions`."""


@dataclass(frozen=True, slots=True)
class Publishing:
    """What a post may consist of; the limit of its text is `Spec.text_limit`."""

    pictures: int = 0
    """The most pictures in one post; more than one is an album."""
    picture_types: frozenset[str] = frozenset({"image/jpeg", "image/png"})
    picture_bytes: int = 8 * 1024 * 1024
    caption_limit: int | None = None
    """The limit of the text of a post with pictures, where it differs (Telegram)."""
    text_alone: bool = True
    """Whether a post needs no picture (on Instagram it does)."""
    by_url: bool = False
    """The platform fetches pictures from a public address itself and takes no upload (Instagram)."""
    dedup_window: timedelta | None = None
    """For how long the platform drops a post repeated with the same key; None: a repeat appears twice."""


class TextUnit(StrEnum):
    """The unit in which a text's length is counted."""

    CHARACTERS = "characters"
    UTF16 = "utf16"
    GRAPHEMES = "graphemes"
    BYTES = "bytes"
    """Of UTF-8."""


@dataclass(frozen=True, slots=True)
class TextLimit:
    """The most of `unit` that a text may have."""

    most: int
    unit: TextUnit = TextUnit.CHARACTERS
    most_bytes: int | None = None
    """The most bytes of UTF-8, where the platform limits these too (Bluesky)."""


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
    """The most posts of one `Adapter.metrics` call."""
    text_limit: int
    """The most characters of one post, in `text_unit`."""
    tokens: frozenset[Token]
    """The kinds of token that the adapter can use."""
    public: bool
    """Size and posts can be read without any token."""
    address_hint: str
    """An address as a person would type it, for messages and documentation."""
    replies_dedup_window: timedelta | None = None
    """For how long the platform drops a reply repeated with the same key; None: a repeat is sent twice."""
    reply_window: timedelta | None = None
    """How long after a customer's direct message the platform takes replies to it; None: without a limit."""
    person_reply_window: timedelta | None = None
    """The same for a reply that a person wrote, where the platform gives people more time (Meta)."""
    unanswerable: Mapping[str, str] = field(default_factory=dict)
    """By the beginning of the ids of messages that cannot be replied to: why not, for people (Instagram's tags)."""
    hook_secrets: frozenset[str] = frozenset()
    """The names of the secrets that `Receives.receive` needs; empty where the platform sends no events to a hook."""
    hook_manual_secrets: frozenset[str] = frozenset()
    """Those of `hook_secrets` that a person must enter, because they cannot be generated (Meta's app secret)."""
    hook_secret_settings: Mapping[str, str] = field(default_factory=dict)
    """Those of `hook_secrets` that are taken from `app_settings`, with the setting's name (Meta's app secret)."""
    hook_optional_secrets: frozenset[str] = frozenset()
    """Those of `hook_secrets` that may be absent and are not generated (Odnoklassniki's networks)."""
    hook_of_app: bool = False
    """One address takes the events of all communities that an application may see (Meta), not of one; that of the
    installation's own application those of all workspaces.
    """
    text_unit: TextUnit = TextUnit.CHARACTERS
    reply_limit: int | None = None
    """The limit of a reply's text, in `text_unit`; None: that of a post."""
    text_bytes: int | None = None
    """The most bytes of UTF-8 of a post or a reply, where the platform limits these too (Bluesky)."""
    message_limit: TextLimit | None = None
    """The limit of a direct message's text; None: that of any other reply."""
    publishing: Publishing | None = None
    """None where nothing can be published through the API."""
    app_settings: frozenset[str] = frozenset()
    """The settings of the installation's own application (`client_id` …) that the adapter needs: `Credentials.app`."""
    app_owner: str | None = None
    """The company that registers applications, where several platforms share them (Meta): those with one `client_id`
    are one application, and share what `LimitScope.APP` counts.
    """
    scopes: Mapping[Token, tuple[str, ...]] = field(default_factory=dict)
    """The permissions that each kind of token should have."""
    pushed_metrics: frozenset[Metric] = frozenset()
    """Those of `metrics` that come with events alone and cannot be polled (Telegram's reactions)."""
    counted_metrics: frozenset[Metric] = frozenset()
    """Those of `metrics` that the platform does not count, so that events are counted here (Telegram's comments)."""
    metrics_group_tokens: frozenset[Token] = frozenset()
    """For `MeasuresAcross`: communities with the same tokens of these kinds share a call; empty: all do."""
    delayed_metrics: frozenset[Metric] = frozenset()
    """Those of `metrics` that come `metrics_delay` late (Instagram's insights)."""
    metrics_delay: timedelta = timedelta(0)
    """How late; until then such a counter is `pending`."""
    posts_list: str | None = None
    """Of a `ListsSeparately` platform: the list that has the community's posts too (`Page.posts`). While it is read,
    `Adapter.posts` is only called for the backfill and for edits."""
    changes: Mapping[NativeChange, frozenset[SeenThrough]] = field(default_factory=dict)
    """What shows each `NativeChange`, besides what follows from the adapter's capabilities (`changes.seen_through`);
    `NOWHERE`: it happens, and is not seen."""
    no_changes: frozenset[NativeChange] = frozenset()
    """Those that there are not on the platform, or of messages that are not read."""
    post_domains: tuple[str, ...] | None = ()
    """The domains, with those below them, on which the platform shows posts; empty: those of the community's own
    addresses (Mastodon's servers); None: any (Bluesky's posts are shown by other clients, too)."""
    counts_joins: bool = False
    """Events say that somebody has joined or left (Telegram's `chat_member`, VK's `group_join` and `group_leave`)."""
    attributes_joins: bool = False
    """They say through which invite link, too (Telegram)."""
    history: bool = True
    """Posts and messages from before the community was connected can be read."""

    @property
    def post_text_limit(self) -> TextLimit:
        """The limit of a post's text."""
        return TextLimit(self.text_limit, self.text_unit, self.text_bytes)

    @property
    def reply_text_limit(self) -> TextLimit:
        """The limit of a reply's text, for all but direct messages."""
        most = self.text_limit if self.reply_limit is None else self.reply_limit
        return TextLimit(most, self.text_unit, self.text_bytes)

    @property
    def message_text_limit(self) -> TextLimit:
        """The limit of a direct message's text."""
        return self.message_limit or self.reply_text_limit
