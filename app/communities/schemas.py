"""Request and response bodies of communities."""

from enum import StrEnum
from typing import Annotated

from fastapi import Body
from pydantic import AfterValidator, Field, SecretStr

from app.communities.inbound.models import SubscriptionStatus
from app.communities.models import CommunityStatus
from app.communities.polling.parts import Part, PartStatus
from app.kit.schemas import Id, Input, Instant, Output, Text, example
from app.platforms.contract import Token


def _token(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without spaces")
    return value


TokenText = Annotated[
    SecretStr,
    Field(min_length=1, max_length=4096, json_schema_extra={"pattern": "^[!-~]+$"}),
    AfterValidator(_token),
]
Tokens = Annotated[
    dict[Token, TokenText],
    Field(
        description="Tokens by their kind. `tokens` of `GET /v1/platforms` lists which a platform takes, with which "
        "permissions, and which renew others. They are stored sealed and never shown again.",
        max_length=len(Token),
        examples=[{"community": "the-communitys-token", "user": "an-administrators-token"}],
    ),
]
Address = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=300,
        description="As you would type it: a link to the community, or its handle.",
        examples=["https://mastodon.social/@Gargron", "https://vk.com/club1"],
    ),
]


class CommunityConnect(Input):
    """A community to connect to a project."""

    project_id: Id = Field(description="The client's project.")
    platform: Text = Field(max_length=40, description="A `key` of `GET /v1/platforms`.", examples=["mastodon"])
    address: Address
    credentials: Tokens = Field(default_factory=dict)
    backfill_days: Annotated[int, Field(strict=True, ge=0, le=730)] = Field(
        default=90,
        description="How many days back posts and messages are fetched at first, where the platform lets them be read.",
    )


Connecting = Annotated[
    CommunityConnect,
    Body(
        openapi_examples={
            "public": {
                "summary": "A public account, without a token",
                "description": "Size, posts and comments are read; messages and answers take a token.",
                "value": {
                    "project_id": "0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a",
                    "platform": "mastodon",
                    "address": "https://mastodon.social/@coffee",
                },
            },
            "bot": {
                "summary": "A Telegram channel, with its bot's token",
                "value": {
                    "project_id": "0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a",
                    "platform": "telegram",
                    "address": "@coffee",
                    "credentials": {"community": "123456789:the-bots-token"},
                },
            },
            "two": {
                "summary": "A VK community, with its two tokens",
                "description": "The community's own answers, an administrator's reads the wall.",
                "value": {
                    "project_id": "0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a",
                    "platform": "vk",
                    "address": "https://vk.com/coffee",
                    "credentials": {"community": "vk1.a.the-communitys", "user": "vk1.a.an-administrators"},
                },
            },
            "fetched": {
                "summary": "A Facebook Page, with the token of a person who has a role on it",
                "description": "The Page's own token is fetched with it.",
                "value": {
                    "project_id": "0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a",
                    "platform": "facebook",
                    "address": "https://www.facebook.com/coffee",
                    "credentials": {"user": "EAA-a-long-lived-token"},
                },
            },
            "renewed": {
                "summary": "A YouTube channel, with an API key and a refresh token",
                "description": "The key reads; the refresh token fetches the access that answers.",
                "value": {
                    "project_id": "0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a",
                    "platform": "youtube",
                    "address": "https://www.youtube.com/@coffee",
                    "credentials": {"app": "AIza-the-api-key", "refresh": "1//the-refresh-token"},
                    "backfill_days": 365,
                },
            },
        }
    ),
]


SecretName = Annotated[str, Field(pattern="^[a-z_]{1,40}$")]


class HookPut(Input):
    """Secrets of a hook, by the platform's names for them."""

    model_config = example({"secrets": {"secret": "a-long-secret-of-your-own", "confirmation": "a1b2c3d4"}})

    secrets: Annotated[
        dict[SecretName, TokenText],
        Field(
            description="`hooks` of `GET /v1/platforms` lists them. Where the service subscribes the hook, those "
            "that it can generate or fetch may be left out (`{}`); those that only a person knows, an application's "
            "secret for one, may stand in the installation's settings instead.",
            max_length=10,
            examples=[{}, {"secret": "a-long-secret-of-your-own", "confirmation": "a1b2c3d4"}],
        ),
    ]


class HookRead(Output):
    """A community's hook; never its secrets."""

    url: str = Field(
        description="The address that the platform calls.", examples=["https://instep.example/hooks/vk/5c0e…"]
    )
    platform: str = Field(description="The `key` of the community's platform.", examples=["vk"])
    status: SubscriptionStatus | None = Field(
        description="Its subscription at the platform: `waiting` for a worker or for the platform, `subscribed`, or "
        "`refused`. null: enter the `url` there yourself.",
        examples=["subscribed"],
    )
    reason: str | None = Field(description="Why it is not subscribed, for people.", examples=[None])
    created_at: Instant = Field(description="When it was opened.")
    last_event_at: Instant | None = Field(description="When the last event was received; null: none yet.")


class Reconnect(Input):
    """New tokens. Those not named stay as they are: a token is never overwritten with nothing.

    A disconnected community of a platform that shows something without a token is brought back without any.
    """

    model_config = example({"credentials": {"community": "the-communitys-new-token"}})

    credentials: Tokens = Field(default_factory=dict)


Connection = Annotated[
    CommunityStatus,
    Field(
        description="`connecting`: not polled yet. `healthy`: all is read. `degraded`: some of it fails; it is "
        "tried again by itself, and `reason` of its health says what a person can do. `reauth_required`: the platform "
        "refuses the tokens, reconnect. `paused`: by you, resume. `failed`: it could not be connected. `disconnected`: "
        "by you; what was read stays, and reconnecting brings it back.",
        examples=["healthy"],
    ),
]


class SeenAt(Output):
    """When each kind of thing was last read to the end; null: never."""

    size: Instant | None = Field(description="The community's size.")
    posts: Instant | None = Field(description="The list of posts.")
    conversations: Instant | None = Field(
        description="Comments, messages and mentions, as far as the platform lists them."
    )


class CommunityInclude(StrEnum):
    """What a community may be listed with."""

    HEALTH = "health"


class UnreadPart(Output):
    """A part of a community that cannot be read now."""

    part: Part = Field(description="As in `GET /v1/communities/{id}/health`.", examples=["conversations"])
    code: str = Field(description="Why, for programs.", examples=["missing-permission"])
    reason: str = Field(
        description="Why and what to do, for people.",
        examples=["The token may not do all that is needed. Reconnect with the missing permissions."],
    )
    since: Instant = Field(description="Since when it has not been read.")


class HookSummary(Output):
    """The subscription of a community's hook."""

    status: SubscriptionStatus | None = Field(
        description="Its subscription at the platform; null: a person enters it there.", examples=["subscribed"]
    )
    reason: str | None = Field(description="Why it is not subscribed, for people.", examples=[None])


class HealthSummary(Output):
    """What a list shows of a community's health; all of it is at `GET /v1/communities/{id}/health`."""

    code: str | None = Field(description="Why it is not healthy, for programs.", examples=["auth-expired"])
    reason: str | None = Field(
        description="Why it is not healthy and what to do, for people.",
        examples=["The platform refuses the token. Reconnect the community with a new one."],
    )
    missing_scopes: list[str] = Field(
        description="Permissions that its tokens should have and lack, in the platform's words.", examples=[["stats"]]
    )
    token_expires_at: Instant | None = Field(
        description="When the first of its tokens expires; null: none does, or it is not known."
    )
    polled_at: Instant | None = Field(description="When everything due was last read without a failure.")
    seen_at: SeenAt = Field(description="When each kind of thing was last read to the end.")
    throttled_until: Instant | None = Field(description="The platform refused calls until then; null: it did not.")
    unread_parts: list[UnreadPart] = Field(description="The parts that cannot be read now; the others are read.")
    hook: HookSummary | None = Field(description="null: it has none, and everything is read by polling.")
    last_event_at: Instant | None = Field(description="When its hook last received an event; null: never.")
    backfilled_at: Instant | None = Field(description="When the past was read to the end; null: it is being read.")


class CommunityRead(Output):
    """A connected community, or one that was."""

    id: Id = Field(description="The community's id.")
    project_id: Id = Field(description="The client's project.")
    platform: str = Field(description="A `key` of `GET /v1/platforms`.", examples=["vk"])
    address: str = Field(description="In its one canonical spelling.", examples=["https://vk.com/coffee"])
    external_id: str | None = Field(
        description="Its id on the platform; null until the first poll.", examples=["225000001"]
    )
    title: str | None = Field(description="Its name there; null until the first poll.", examples=["Coffee house"])
    url: str | None = Field(description="Where people find it.", examples=["https://vk.com/coffee"])
    status: Connection
    created_at: Instant = Field(description="When it was connected for the first time.")
    disconnected_at: Instant | None = Field(description="Since when it is disconnected; null: it is connected.")
    health: HealthSummary | None = Field(None, description="With `include=health`; null without.")


class TokenRead(Output):
    """A stored token; never its text."""

    kind: Token = Field(description="Which kind of token it is.")
    expires_at: Instant | None = Field(
        description="When it expires; null: never, or it is not known. One that expires within seven days and is not "
        "renewed by itself is announced as the event `community.token-expiring`."
    )
    renews_itself: bool = Field(description="A new one is fetched before it ends, without a person.")
    missing_scopes: list[str] = Field(
        description="Permissions it should have and lacks, in the platform's words.", examples=[[]]
    )
    updated_at: Instant = Field(description="When it was last stored or renewed.")


class RateLimitRemaining(Output):
    """What is left of a rate limit; all that share the token, address or application take from it."""

    name: str = Field(description="What is counted.", examples=["calls"])
    scope: str = Field(
        description="What it is counted for: a `token`, our network `address`, or the installation's `app`. Limits of "
        "one community or chat are not shown.",
        examples=["token"],
    )
    token: Token | None = Field(description="The kind of token it is counted for; null: for all.", examples=["user"])
    calls: int = Field(description="The calls, or units, allowed in a window.", examples=[300])
    seconds: int = Field(description="The length of a window, in seconds.", examples=[300])
    remaining: int = Field(description="The calls, or units, that are left now.", examples=[271])
    cooldown_until: Instant | None = Field(
        description="The platform refused calls until then, and none is made before; null: it did not.",
        examples=[None],
    )


class Backfill(Output):
    """How far the first reading of the past has come. After an interruption it resumes where it stopped."""

    since: Instant = Field(description="Older posts and messages are not read.")
    reached: Instant | None = Field(description="All newer posts are read; null: none is.")
    progress: float = Field(description="0 to 1: how much of the time back to `since` is read.", examples=[0.42])
    done_at: Instant | None = Field(description="null: it is still going on.")


class Lag(Output):
    """How late each part is, in seconds; 0: not late."""

    size: float = Field(description="Of the community's size.", examples=[0])
    posts: float = Field(description="Of the list of posts.", examples=[0])
    conversations: float = Field(description="Of the list of messages.", examples=[12.5])
    counters: float = Field(description="Of the post whose counters have been due the longest.", examples=[140])
    interval_multiplier: float = Field(
        description="The factor by which intervals are longer than planned, because the communities that share a rate "
        "limit need more than it allows; 1: as planned.",
        examples=[1.8],
    )


class HookHealth(Output):
    """The health of a community's hook: its subscription, what the platform says of it, and the gaps in its events."""

    status: SubscriptionStatus | None = Field(
        description="Its subscription at the platform; null: a person enters it there.", examples=["subscribed"]
    )
    reason: str | None = Field(description="Why it is not subscribed, for people.", examples=[None])
    last_event_at: Instant | None = Field(description="When it last received an event; null: never.")
    checked_at: Instant | None = Field(
        description="When it was last probed at the platform; null: not yet, or it cannot be."
    )
    subscribed: bool | None = Field(description="The platform has this very address; null: not known.")
    delivering: bool | None = Field(description="Its last calls were accepted; null: the platform does not say.")
    waiting: int | None = Field(
        description="Events that wait to be sent; null: the platform does not say.", examples=[0]
    )
    detail: str | None = Field(description="The error that the platform reports.", examples=[None])
    gaps: int | None = Field(
        description="Posts and messages of 30 days that a poll found and the hook had not received five minutes after "
        "they were sent. Kinds of items that it never received do not count; null: it has received nothing so far, "
        "so it is not known whether it works.",
        examples=[0],
    )
    last_gap_at: Instant | None = Field(description="When the last of them was sent.", examples=[None])


class UnparsedEvents(Output):
    """Events, of the hook or the stream, that this version cannot parse.

    They are kept for 30 days and parsed again every hour: an upgrade that can parse them applies them.
    """

    events: int = Field(description="How many there are.", examples=[0])
    last_at: Instant | None = Field(
        description="When the last of them was received; null: there is none.", examples=[None]
    )


class PartHealth(Output):
    """One part of a community, which is read, fails and backs off by itself."""

    part: Part = Field(
        description="`counters` and `comments` are those of its posts; `conversations` is what the platform lists for "
        "the whole community; `tokens`: what the platform reports about them; `revisions`: recent posts and their "
        "comments, read again for edits and deletions.",
        examples=["conversations"],
    )
    status: PartStatus = Field(
        description="`ok`: it is read. `pending`: it was not read so far. `waiting`: a rate limit is used up. "
        "`failing`: the last read failed, and `next_at` says when it is tried again. `unsupported`: this server does "
        "not have it; that changes nothing for the other parts.",
        examples=["ok"],
    )
    code: str | None = Field(description="Why it is not read, as the community's `code`.", examples=[None])
    reason: str | None = Field(description="The same for people, with what to do.", examples=[None])
    failures: int = Field(description="Reads in a row that failed.", examples=[0])
    since: Instant | None = Field(description="Since when it has not been read; null: it is.", examples=[None])
    next_at: Instant | None = Field(
        description="When it is tried again; null: nothing keeps it from being read, or it is read together with "
        "other communities' counters.",
        examples=[None],
    )
    missing_scopes: list[str] = Field(description="The permissions that reading it takes.", examples=[[]])
    unread_items: int = Field(
        description="Posts or conversations that the platform does not let be read now. The others are read; these are "
        "tried again by themselves, less and less often.",
        examples=[0],
    )


class Health(Output):
    """A community's health, and what to do about it."""

    community_id: Id = Field(description="The community's id.")
    status: Connection
    code: str | None = Field(
        description="Why it is not healthy, for programs: `auth-expired`, `missing-permission`, `gone`, `rejected`, "
        "`transient`, `malformed`, `rate-limited`; `internal-error`: a fault of Instep, not of the platform.",
        examples=[None],
    )
    reason: str | None = Field(description="Why it is not healthy and what to do, for people.", examples=[None])
    missing_scopes: list[str] = Field(
        description="Permissions that its tokens should have and lack, as the platform says; reconnect with them.",
        examples=[[]],
    )
    tokens: list[TokenRead] = Field(description="Its stored tokens; never their text.")
    parts: list[PartHealth] = Field(
        description="Each part by itself: what the agency can use, and what not. `status` follows from them."
    )
    polled_at: Instant | None = Field(description="When everything due was last read without a failure.")
    seen_at: SeenAt = Field(description="Up to when each kind of thing is known.")
    last_event_at: Instant | None = Field(
        description="When the open hook last received an event about it; null: never, or there is no hook."
    )
    hook: HookHealth | None = Field(description="null: it has none, and everything is read by polling.")
    unparsed_events: UnparsedEvents = Field(description="Events that were received and could not be parsed.")
    throttled_until: Instant | None = Field(
        description="The platform refused calls for this community until then; null: it did not.",
        examples=[None],
    )
    next_poll_at: Instant | None = Field(description="When it is polled next; null: not by itself.")
    backfill: Backfill = Field(description="How far the first reading of the past has come.")
    rate_limits: list[RateLimitRemaining] = Field(
        description="What is left of each rate limit that polling it takes from."
    )
    lag: Lag = Field(description="How late its polls are.")
    publications: int = Field(description="Posts stored so far.", examples=[412])
