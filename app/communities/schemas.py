"""What communities take and give."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from app.communities.models import HookState, State
from app.kit.schemas import Id, Input, Instant, Output
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
    Field(description="Tokens by their kind; VK needs both: `user` reads, `community` answers.", max_length=len(Token)),
]
Address = Annotated[
    str,
    Field(
        strict=True,
        min_length=1,
        max_length=300,
        description="As you would type it: a link to the community, or its handle.",
        examples=["https://mastodon.social/@Gargron", "https://vk.com/club1"],
    ),
]


class CommunityConnect(Input):
    """A community to connect to a project."""

    project_id: Id
    platform: str = Field(strict=True, max_length=40, examples=["mastodon"])
    address: Address
    credentials: Tokens = Field(default_factory=dict)
    backfill_days: Annotated[int, Field(strict=True, ge=0, le=730)] = Field(
        default=90, description="How far back posts and messages are fetched at first."
    )


SecretName = Annotated[str, Field(pattern="^[a-z_]{1,40}$")]


class HookPut(Input):
    """Secrets of a hook, by the platform's names for them."""

    secrets: Annotated[
        dict[SecretName, TokenText],
        Field(
            description="VK: `secret`, which every event carries, and `confirmation`, which VK asks for once.",
            max_length=10,
            examples=[{"secret": "a-long-secret-of-your-own", "confirmation": "a1b2c3d4"}],
        ),
    ]


class HookRead(Output):
    """Where the platform tells us what happens; never its secrets."""

    url: str = Field(description="Where the platform calls.", examples=["https://instep.example/hooks/vk/5c0e…"])
    platform: str
    state: HookState | None = Field(
        description="How setting it at the platform went; null: enter the `url` there yourself."
    )
    reason: str | None = Field(description="Why it is not subscribed, for people.")
    created_at: Instant
    event_at: Instant | None = Field(description="When the platform last told us something; null: never.")


class Reconnect(Input):
    """New tokens. Those not named stay as they are: a token is never overwritten with nothing."""

    credentials: Tokens = Field(min_length=1)


class CommunityRead(Output):
    """A connected community."""

    id: Id
    project_id: Id
    platform: str
    address: str
    external_id: str | None
    title: str | None
    url: str | None
    state: State
    created_at: Instant


class TokenRead(Output):
    """A token we hold; never its text."""

    kind: Token
    expires_at: Instant | None = Field(description="null: it does not end, or nobody says.")
    renews_itself: bool = Field(description="A new one is fetched before it ends, without a person.")
    missing_scopes: list[str]
    updated_at: Instant


class SeenAt(Output):
    """When each kind of thing was last read to the end."""

    size: Instant | None
    posts: Instant | None
    conversations: Instant | None


class BudgetLeft(Output):
    """What is left of a limit that we keep to."""

    name: str = Field(description="What is counted.", examples=["calls"])
    scope: str = Field(description="Whom it concerns.", examples=["token"])
    token: Token | None = Field(description="The kind of token it is counted for; null: for all.")
    calls: int
    seconds: int
    left: int
    held_until: Instant | None = Field(description="The platform told us to stay away until then.")


class Backfill(Output):
    """How far the first walk back has come."""

    since: Instant = Field(description="Older posts and messages are not wanted.")
    reached: Instant | None = Field(description="When the oldest post read so far appeared.")
    progress: float = Field(description="0 to 1: how much of the time back to `since` is read.")
    done_at: Instant | None = Field(description="null: it goes on.")


class Lag(Output):
    """How late we are with what is due, in seconds; 0: nothing is late."""

    size: float
    posts: float
    conversations: float
    counters: float = Field(description="Of the post that waits longest for its counters to be read.")
    stretch: float = Field(description="By how much all intervals are longer than planned, for want of calls; 1: not.")


class HookHealth(Output):
    """How a community's hook is: as setting it went, as the platform sees it, and by what it missed."""

    state: HookState | None = Field(description="How setting it at the platform went; null: a person does that.")
    reason: str | None = Field(description="Why it is not subscribed, for people.")
    event_at: Instant | None = Field(description="When it last told us something new; null: never.")
    checked_at: Instant | None = Field(description="When the platform was last asked about it; null: it cannot be.")
    subscribed: bool | None = Field(description="The platform would call this very address; null: not known.")
    delivering: bool | None = Field(description="Its last calls were taken; null: the platform does not say.")
    waiting: int | None = Field(description="Events that wait to be sent; null: the platform does not say.")
    detail: str | None = Field(description="What the platform complains of.")
    missed: int = Field(description="Posts and messages of 30 days that a poll found and the hook had not told of.")
    missed_at: Instant | None = Field(description="When the last of them was sent.")


class Health(Output):
    """How a community's connection is, and what to do about it."""

    community_id: Id
    state: State
    code: str | None = Field(description="Why it is not healthy, for programs.", examples=["auth-expired"])
    reason: str | None = Field(description="Why it is not healthy and what to do, for people.")
    missing_scopes: list[str]
    tokens: list[TokenRead]
    polled_at: Instant | None = Field(description="When everything due was last read without a failure.")
    seen_at: SeenAt
    event_at: Instant | None = Field(description="When the platform last told us of something new; null: never.")
    hook: HookHealth | None = Field(description="Null: it has none.")
    throttled_until: Instant | None
    next_poll_at: Instant | None
    backfill: Backfill
    budgets: list[BudgetLeft]
    lag: Lag
    publications: int = Field(description="Posts known so far.")
