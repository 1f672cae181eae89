"""What each platform can and cannot give, read off the adapters."""

from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, Field

from app.kit.routing import public_router
from app.platforms import adapters, capabilities
from app.platforms.contract import Adapter, LimitScope, Metric, MetricStatus, RateLimit, Spec, TextUnit, Token

PUBLIC = public_router("/v1/platforms", tag="platforms")

PURPOSES: Final = {
    Token.USER: "A person's, who administers the community.",
    Token.COMMUNITY: "The community's own: a group's, a Page's, a bot's, an account's.",
    Token.APP: "An application's key, which stands for nobody and reads what is public.",
    Token.REFRESH: "Fetches the others before they end, and does nothing else.",
    Token.PASSWORD: "An application's password, with which sessions are opened.",
}
ABILITIES: Final = {
    "comments": capabilities.ListsComments,
    "stream": capabilities.Streams,
    "publish": capabilities.Publishes,
    "reply": capabilities.Replies,
    "refresh": capabilities.Refreshes,
    "inspect": capabilities.Inspects,
    "usage": capabilities.TellsUsage,
    "hooks": capabilities.Receives,
    "subscribe": capabilities.Subscribes,
    "unsubscribe": capabilities.Unsubscribes,
    "measure_across": capabilities.MeasuresAcross,
}


class How(StrEnum):
    """How we come to know a counter."""

    ASKED = "asked"
    TOLD = "told"
    COUNTED = "counted"


class TokenUse(BaseModel):
    """A kind of token, as `credentials` of `POST /v1/communities` names it."""

    kind: Token
    purpose: str = Field(examples=[PURPOSES[Token.USER]])
    scopes: list[str] = Field(
        description="The permissions it should have, in the platform's words; empty: it has no such thing.",
        examples=[["read", "write"]],
    )
    renewed_with: list[Token] = Field(
        description="Each of these, given too, has it renewed before it ends, without a person. That may take the "
        "`app_settings` besides. Empty: a person gives it anew when it ends.",
        examples=[["refresh"]],
    )


class MetricUse(BaseModel):
    """A counter of posts."""

    status: Literal[MetricStatus.OK, MetricStatus.UNSUPPORTED] = Field(
        description="`unsupported`: the platform gives no such number. It is then null everywhere, never 0."
    )
    how: How | None = Field(
        description="`asked`: read from the platform again and again. `told`: comes with events alone, from the "
        "connection on. `counted`: the platform does not count it, so we count the events. null: `unsupported`."
    )
    delay_hours: float = Field(
        description="The platform gives it so late; until then it is `pending`, then it counts for its day.",
        examples=[48],
    )


class Abilities(BaseModel):
    """What the platform lets us do beyond size, posts and counters."""

    comments: bool = Field(
        description="List the comments below each post (else they come with the rest, or by events)."
    )
    stream: bool = Field(description="Read all that happens as one stream of events.")
    publish: bool = Field(description="Publish posts; see `publishing`.")
    reply: bool = Field(description="Answer customers; see `replying`.")
    refresh: bool = Field(description="Renew tokens without a person; see `tokens`.")
    inspect: bool = Field(description="Ask what a token may do and when it ends.")
    usage: bool = Field(description="Learn from answers how much of a limit is used up.")
    hooks: bool = Field(description="Be called when something happens; see `hooks`.")
    subscribe: bool = Field(description="Set that hook at the platform ourselves, and ask whether it works.")
    unsubscribe: bool = Field(description="Take a closed hook away there: until then nothing could be polled.")
    measure_across: bool = Field(description="Read counters of several communities' posts in one call.")


class Replying(BaseModel):
    """Answers to customers."""

    text_limit: int = Field(description="In `text_unit`.", examples=[9000])
    remembered_seconds: int | None = Field(
        description="For so long the platform drops an answer that is repeated with its key; null: it would be sent "
        "twice, so one whose outcome is unknown is left to a person.",
        examples=[3000],
    )


class Publishing(BaseModel):
    """What a post may consist of."""

    pictures: int = Field(description="The most in one post; 0: none.", examples=[10])
    picture_types: list[str] = Field(examples=[["image/jpeg", "image/png"]])
    picture_bytes: int = Field(description="The most in one picture.", examples=[8388608])
    by_url: bool = Field(description="The platform fetches pictures itself, so they need a public address.")
    text_alone: bool = Field(description="A post may do without a picture.")
    caption_limit: int = Field(description="The text's limit where pictures come with it.", examples=[1024])
    remembered_seconds: int | None = Field(
        description="For so long the platform drops a post that is repeated with its key; null: it would appear twice.",
        examples=[3000],
    )


class Hooks(BaseModel):
    """How the platform calls us: `PUT /v1/communities/{id}/hook`."""

    secrets: list[str] = Field(
        description="What a hook has to know; names for the `secrets` of that request.",
        examples=[["secret"]],
    )
    of_app: bool = Field(
        description="One address and its secrets serve all communities of an application; else each has its own."
    )
    sets_itself: bool = Field(
        description="The service sets the hook at the platform; else a person enters its address there."
    )


class Limit(BaseModel):
    """A limit that we keep to, so that the platform need not hold us."""

    name: str = Field(description="What is counted.", examples=["calls"])
    calls: int = Field(description="So many, or so many units,", examples=[300])
    seconds: int = Field(description="in so many seconds,", examples=[300])
    scope: LimitScope = Field(
        description="for each of these: a token, our network address, the installation's application, or a community."
    )
    token: Token | None = Field(description="Only calls with this kind of token count; null: all calls.")


class Platform(BaseModel):
    """A platform's capabilities."""

    key: str = Field(description="As `platform` of `POST /v1/communities` takes it.", examples=["plaza"])
    title: str = Field(examples=["Plaza"])
    api_version: str = Field(description="The version of its API that is spoken.", examples=["1"])
    address_hint: str = Field(
        description="How a community's address is written.", examples=["https://plaza.example/name"]
    )
    public: bool = Field(description="Size and posts can be read without any token.", examples=[False])
    history: bool = Field(description="What was there before the community was connected can be read.")
    tokens: list[TokenUse] = Field(description="The kinds of token it knows how to use, of which some may be enough.")
    app_settings: list[str] = Field(
        description="What the installation should say of its own application, below the platform's key in "
        "`INSTEP_PLATFORM_APPS`; empty: nothing.",
        examples=[["client_id", "client_secret"]],
    )
    metrics: dict[Metric, MetricUse] = Field(
        examples=[
            {
                "views": {"status": "ok", "how": "asked", "delay_hours": 48},
                "reactions": {"status": "ok", "how": "told", "delay_hours": 0},
                "saves": {"status": "unsupported", "how": None, "delay_hours": 0},
            }
        ]
    )
    metrics_batch: int = Field(description="So many posts' counters come with one call.", examples=[100])
    capabilities: Abilities
    text_limit: int = Field(description="Of one post, in `text_unit`.", examples=[1000])
    text_unit: TextUnit = Field(
        description="`graphemes`: what a reader takes for one character. `utf16`: an emoji counts as two, or more."
    )
    replying: Replying | None = Field(description="null: customers cannot be answered through the API.")
    publishing: Publishing | None = Field(description="null: nothing can be published through the API.")
    hooks: Hooks | None = Field(description="null: it never calls us, everything is found by polling.")
    limits: list[Limit]


class Platforms(BaseModel):
    """The capability matrix."""

    data: list[Platform]


@PUBLIC.get("", operation_id="platforms.list")
async def list_platforms() -> Platforms:
    """The platforms this service speaks to, and what each can and cannot give.

    Read off the code that speaks to them, so it is what this installation does. Which tokens to
    send when a community is connected, which counters its posts will have and how late, what can
    be published and answered, and the limits that polling keeps to. It needs no key and changes
    with the installation's version alone: send `If-None-Match`.
    """
    return Platforms(data=[describe(kind) for _, kind in sorted(adapters().items())])


def describe(kind: type[Adapter]) -> Platform:
    """A platform's row of the matrix."""
    spec = kind.spec
    able = Abilities.model_validate({name: issubclass(kind, ability) for name, ability in ABILITIES.items()})
    return Platform(
        key=spec.key,
        title=spec.title,
        api_version=spec.api_version,
        address_hint=spec.address_hint,
        public=spec.public,
        history=spec.history,
        tokens=[_token(kind, token) for token in sorted(spec.tokens)],
        app_settings=sorted(spec.app_settings),
        metrics={metric: _metric(spec, metric) for metric in Metric},
        metrics_batch=spec.metrics_batch,
        capabilities=able,
        text_limit=spec.text_limit,
        text_unit=spec.text_unit,
        replying=_replying(spec) if able.reply else None,
        publishing=_publishing(spec) if able.publish else None,
        hooks=_hooks(spec, sets_itself=able.subscribe) if able.hooks else None,
        limits=[_limit(budget) for budget in spec.budgets],
    )


def _token(kind: type[Adapter], token: Token) -> TokenUse:
    spec = kind.spec
    return TokenUse(
        kind=token,
        purpose=PURPOSES[token],
        scopes=list(spec.scopes.get(token, ())),
        renewed_with=[
            other
            for other in sorted(spec.tokens)
            if issubclass(kind, capabilities.Refreshes) and token in kind.renewable({other}, spec.app_settings)
        ],
    )


def _metric(spec: Spec, metric: Metric) -> MetricUse:
    if metric not in spec.metrics:
        return MetricUse(status=MetricStatus.UNSUPPORTED, how=None, delay_hours=0)
    how = How.TOLD if metric in spec.pushed else How.COUNTED if metric in spec.counted else How.ASKED
    delay = spec.delay if metric in spec.delayed else timedelta(0)
    return MetricUse(status=MetricStatus.OK, how=how, delay_hours=delay / timedelta(hours=1))


def _replying(spec: Spec) -> Replying:
    return Replying(
        text_limit=spec.text_limit if spec.reply_limit is None else spec.reply_limit,
        remembered_seconds=_seconds(spec.replies_remembered),
    )


def _publishing(spec: Spec) -> Publishing | None:
    may = spec.publishing
    if may is None:
        return None
    return Publishing(
        pictures=may.pictures,
        picture_types=sorted(may.picture_types),
        picture_bytes=may.picture_bytes,
        by_url=may.by_url,
        text_alone=may.text_alone,
        caption_limit=spec.text_limit if may.caption_limit is None else may.caption_limit,
        remembered_seconds=_seconds(may.remembered),
    )


def _hooks(spec: Spec, *, sets_itself: bool) -> Hooks:
    return Hooks(secrets=sorted(spec.hook_secrets), of_app=spec.hook_of_app, sets_itself=sets_itself)


def _limit(one: RateLimit) -> Limit:
    return Limit(name=one.name, calls=one.calls, seconds=one.seconds, scope=one.scope, token=one.token)


def _seconds(time: timedelta | None) -> int | None:
    return None if time is None else int(time.total_seconds())
