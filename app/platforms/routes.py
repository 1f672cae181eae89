"""What each platform supports, read from the adapters' specs and classes."""

from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, Field

from app.kit.routing import public_router
from app.platforms import adapters, capabilities, changes, poll_intervals
from app.platforms.contract import Adapter, LimitScope, Metric, MetricStatus, RateLimit, Spec, TextUnit, Token
from app.platforms.spec import NativeChange, SeenThrough

PUBLIC = public_router("/v1/platforms", tag="platforms")

PURPOSES: Final = {
    Token.USER: "Issued to a person who administers the community.",
    Token.COMMUNITY: "Issued to the community itself: a group, a Page, a bot, an account.",
    Token.APP: "An application's key, which represents no user and reads what is public.",
    Token.REFRESH: "Renews the other tokens before they expire, and does nothing else.",
    Token.PASSWORD: "An application's password, with which sessions are opened.",
}
CAPABILITIES: Final = {
    "comments": capabilities.ListsComments,
    "check_comments": capabilities.ChecksComments,
    "separate_lists": capabilities.ListsSeparately,
    "stream": capabilities.Streams,
    "publish": capabilities.Publishes,
    "reply": capabilities.Replies,
    "find_replies": capabilities.FindsReplies,
    "refresh": capabilities.Refreshes,
    "inspect": capabilities.Inspects,
    "usage": capabilities.ReportsUsage,
    "hooks": capabilities.Receives,
    "subscribe": capabilities.Subscribes,
    "unsubscribe": capabilities.Unsubscribes,
    "measure_across": capabilities.MeasuresAcross,
    "announced": capabilities.ReadsAnnounced,
    "notify": capabilities.Notifies,
}


class MetricSource(StrEnum):
    """Where a counter's values come from."""

    POLLED = "polled"
    PUSHED = "pushed"
    COUNTED = "counted"


class TokenUse(BaseModel):
    """A kind of token, as `credentials` of `POST /v1/communities` names it."""

    kind: Token = Field(description="The kind of token.")
    purpose: str = Field(description="What it is needed for.", examples=[PURPOSES[Token.USER]])
    scopes: list[str] = Field(
        description="The permissions it should have, by the platform's names; empty: the platform has none.",
        examples=[["read", "write"]],
    )
    renewed_with: list[Token] = Field(
        description="With any one of these tokens it is renewed before it expires, without a person; that may need the "
        "`app_settings` too. Empty: a person must replace it when it expires.",
        examples=[["refresh"]],
    )


class MetricUse(BaseModel):
    """A counter of posts."""

    status: Literal[MetricStatus.OK, MetricStatus.UNSUPPORTED] = Field(
        description="`unsupported`: the platform gives no such number. It is then null everywhere, never 0."
    )
    how: MetricSource | None = Field(
        description="`polled`: read from the platform at intervals. `pushed`: comes only with events, from the "
        "connection on. `counted`: the platform does not count it, so this service counts events. null: `unsupported`."
    )
    delay_hours: float = Field(
        description="How late the platform reports it; until then it is `pending`, then it counts for its day.",
        examples=[48],
    )


class Capabilities(BaseModel):
    """What the platform supports beyond size, posts and counters."""

    comments: bool = Field(
        description="List the comments below each post (else they come with other messages, or by events)."
    )
    check_comments: bool = Field(
        description="Comments below a deleted one, which the platform does not list, are looked up one by one."
    )
    separate_lists: bool = Field(description="Read lists of messages each by itself: one that fails stops no other.")
    stream: bool = Field(description="Read events as one stream.")
    publish: bool = Field(description="Publish posts; see `publishing`.")
    reply: bool = Field(description="Reply to customers; see `replying`.")
    find_replies: bool = Field(
        description="Look up a reply that may have been sent, on servers that would not drop its repeat."
    )
    refresh: bool = Field(description="Renew tokens without a person; see `tokens`.")
    inspect: bool = Field(description="Read a token's permissions and expiry.")
    usage: bool = Field(description="Read from responses how much of a rate limit is used.")
    hooks: bool = Field(description="Receive events at a hook; see `hooks`.")
    subscribe: bool = Field(description="Set that hook at the platform through the API, and read its state.")
    unsubscribe: bool = Field(
        description="Remove a closed hook at the platform through the API, as disconnecting does too."
    )
    announced: bool = Field(description="Read messages that events announce without their content.")
    notify: bool = Field(description="A bot of the agency writes to its own people: alerts.")
    measure_across: bool = Field(description="Read counters of several communities' posts in one request.")


class Replying(BaseModel):
    """Replies to customers."""

    text_limit: int = Field(description="In `text_unit` of the platform.", examples=[9000])
    message_limit: int = Field(description="Of a direct message, in `message_unit`.", examples=[1000])
    message_unit: TextUnit = Field(description="`bytes`: of UTF-8.")
    window_seconds: int | None = Field(
        description="How long after a customer's direct message a reply to it is taken; null: without a limit.",
        examples=[86400],
    )
    person_window_seconds: int | None = Field(
        description="The same for a reply that a person wrote, where that differs.", examples=[604800]
    )
    remembered_seconds: int | None = Field(
        description="How long the platform drops a reply repeated with the same key; null: it would be sent twice, so "
        "a reply whose outcome is unknown is left to a person.",
        examples=[3000],
    )


class Publishing(BaseModel):
    """What a post may consist of."""

    pictures: int = Field(description="The most in one post; 0: none.", examples=[10])
    picture_types: list[str] = Field(
        description="Media types of pictures that are taken.", examples=[["image/jpeg", "image/png"]]
    )
    picture_bytes: int = Field(description="The most in one picture.", examples=[8388608])
    by_url: bool = Field(description="The platform fetches pictures itself, so they need a public address.")
    text_alone: bool = Field(description="A post may do without a picture.")
    caption_limit: int = Field(description="The limit of the text of a post with pictures.", examples=[1024])
    remembered_seconds: int | None = Field(
        description="How long the platform drops a post repeated with the same key; null: it would appear twice.",
        examples=[3000],
    )


class Hooks(BaseModel):
    """Inbound events of the platform: `PUT /v1/communities/{id}/hook`."""

    secrets: list[str] = Field(
        description="The names of the `secrets` of that request.",
        examples=[["secret"]],
    )
    of_app: bool = Field(
        description="One address and its secrets serve all communities of an application; else each has its own."
    )
    sets_itself: bool = Field(
        description="The service sets the hook at the platform; else a person enters its address there."
    )


class ChangeSeen(BaseModel):
    """One way in which a change is seen."""

    through: SeenThrough = Field(
        description="`event`: the hook receives it. `list`: the list of conversations, or the stream of events, is "
        "read. `open_threads`: the comments are read again of posts with open threads in which somebody wrote within "
        f"{changes.span(poll_intervals.OPEN_RECENTLY)}. `recent_posts`: posts up to an age of "
        f"{changes.span(poll_intervals.RECENT)} are read again, their comments, and those of all open threads."
    )
    within_seconds: int | None = Field(
        description="How late at most, where no hook delivers events; null: not without a hook. Multiplied by the "
        "community's `lag.interval_multiplier`.",
        examples=[900],
    )
    within_seconds_with_hook: int = Field(
        description="The same while a hook delivers events: polls are rarer then.", examples=[3600]
    )


class ChangeUse(BaseModel):
    """How changes of one kind, made on the platform itself, are seen."""

    seen: list[ChangeSeen] | None = Field(
        description="Any of these ways is enough. Empty: it is not seen. null: there is no such change on the "
        "platform, or such messages are not read."
    )
    text: str = Field(
        description="The same in words.",
        examples=["event: at once; open threads read again: within 15 min (with a hook 1 h)"],
    )


class Limit(BaseModel):
    """A rate limit to which this service keeps."""

    name: str = Field(description="What is counted.", examples=["calls"])
    calls: int = Field(description="The most calls, or units,", examples=[300])
    seconds: int = Field(description="in this many seconds,", examples=[300])
    scope: LimitScope = Field(
        description="for each of these: a token, this service's address, the application, or a community."
    )
    token: Token | None = Field(description="Only calls with this kind of token count; null: all calls.")


class Platform(BaseModel):
    """A platform's capabilities."""

    key: str = Field(description="As `platform` of `POST /v1/communities` takes it.", examples=["plaza"])
    title: str = Field(description="Its name, for people.", examples=["Plaza"])
    api_version: str = Field(description="The version of its API that is used.", examples=["1"])
    address_hint: str = Field(
        description="How a community's address is written.", examples=["https://plaza.example/name"]
    )
    public: bool = Field(description="Size and posts can be read without any token.", examples=[False])
    counts_joins: bool = Field(description="The platform says who joins a community and who leaves it, as it happens.")
    attributes_joins: bool = Field(
        description="It says through which invite link, too: joins can be attributed to campaigns."
    )
    history: bool = Field(description="Posts and messages from before the community was connected can be read.")
    tokens: list[TokenUse] = Field(description="The kinds of token that can be used; some of them may be enough.")
    app_settings: list[str] = Field(
        description="The settings of the installation's own application, below the platform's key in "
        "`INSTEP_PLATFORM_APPS`; empty: none.",
        examples=[["client_id", "client_secret"]],
    )
    metrics: dict[Metric, MetricUse] = Field(
        description="Which counters of posts it gives, and how.",
        examples=[
            {
                "views": {"status": "ok", "how": "polled", "delay_hours": 48},
                "reactions": {"status": "ok", "how": "pushed", "delay_hours": 0},
            }
        ],
    )
    metrics_batch: int = Field(description="The most posts whose counters come with one request.", examples=[100])
    capabilities: Capabilities = Field(description="What else it supports.")
    text_limit: int = Field(description="Of one post, in `text_unit`.", examples=[1000])
    text_unit: TextUnit = Field(
        description="`graphemes`: characters as readers count them. `utf16`: an emoji counts as two, or more."
    )
    replying: Replying | None = Field(description="null: customers cannot be replied to through the API.")
    publishing: Publishing | None = Field(description="null: nothing can be published through the API.")
    hooks: Hooks | None = Field(description="null: it sends no events, everything is found by polling.")
    changes: dict[NativeChange, ChangeUse] = Field(
        description="What is seen of changes made on the platform itself, after a message or post was first read: "
        "answers given in the platform's own app, edits, deletions and hidden marks.",
        examples=[{"message_edited": {"seen": [], "text": "not seen"}}],
    )
    limits: list[Limit] = Field(description="The rate limits that polling keeps to.")


class Platforms(BaseModel):
    """The capability matrix."""

    data: list[Platform] = Field(description="One entry for each platform.")
    next_cursor: str | None = Field(None, description="Always null: the list is whole.")


@PUBLIC.get("", operation_id="platforms.list")
async def list_platforms() -> Platforms:
    """The platforms that this service connects to, and what each of them supports.

    It is read from the adapters, so it is what this installation does: which tokens to send when a
    community is connected, which counters its posts will have and how late, what can be published and
    answered, and the rate limits that polling keeps to. It needs no key and changes only with the
    installation's version: send `If-None-Match`.
    """
    return Platforms(data=[describe(adapter_class) for _, adapter_class in sorted(adapters().items())])


def describe(adapter_class: type[Adapter]) -> Platform:
    """The entry of a platform in the capability matrix."""
    spec = adapter_class.spec
    supported = Capabilities.model_validate(
        {name: issubclass(adapter_class, protocol) for name, protocol in CAPABILITIES.items()}
    )
    return Platform(
        key=spec.key,
        title=spec.title,
        api_version=spec.api_version,
        address_hint=spec.address_hint,
        public=spec.public,
        counts_joins=spec.counts_joins,
        attributes_joins=spec.attributes_joins,
        history=spec.history,
        tokens=[_token(adapter_class, token) for token in sorted(spec.tokens)],
        app_settings=sorted(spec.app_settings),
        metrics={metric: _metric(spec, metric) for metric in Metric},
        metrics_batch=spec.metrics_batch,
        capabilities=supported,
        text_limit=spec.text_limit,
        text_unit=spec.text_unit,
        replying=_replying(spec) if supported.reply else None,
        publishing=_publishing(spec) if supported.publish else None,
        hooks=_hooks(spec, sets_itself=supported.subscribe) if supported.hooks else None,
        changes={change: _change(adapter_class, change) for change in NativeChange},
        limits=[_limit(rate_limit) for rate_limit in spec.rate_limits],
    )


def _token(adapter_class: type[Adapter], token: Token) -> TokenUse:
    spec = adapter_class.spec
    return TokenUse(
        kind=token,
        purpose=PURPOSES[token],
        scopes=list(spec.scopes.get(token, ())),
        renewed_with=[
            other
            for other in sorted(spec.tokens)
            if issubclass(adapter_class, capabilities.Refreshes)
            and token in adapter_class.renewable({other}, spec.app_settings)
        ],
    )


def _metric(spec: Spec, metric: Metric) -> MetricUse:
    if metric not in spec.metrics:
        return MetricUse(status=MetricStatus.UNSUPPORTED, how=None, delay_hours=0)
    delay = spec.metrics_delay if metric in spec.delayed_metrics else timedelta(0)
    return MetricUse(status=MetricStatus.OK, how=_source(spec, metric), delay_hours=delay / timedelta(hours=1))


def _source(spec: Spec, metric: Metric) -> MetricSource:
    if metric in spec.pushed_metrics:
        return MetricSource.PUSHED
    return MetricSource.COUNTED if metric in spec.counted_metrics else MetricSource.POLLED


def _replying(spec: Spec) -> Replying:
    return Replying(
        text_limit=spec.reply_text_limit.most,
        message_limit=spec.message_text_limit.most,
        message_unit=spec.message_text_limit.unit,
        window_seconds=_seconds(spec.reply_window),
        person_window_seconds=_seconds(spec.person_reply_window or spec.reply_window),
        remembered_seconds=_seconds(spec.replies_dedup_window),
    )


def _publishing(spec: Spec) -> Publishing | None:
    limits = spec.publishing
    if limits is None:
        return None
    return Publishing(
        pictures=limits.pictures,
        picture_types=sorted(limits.picture_types),
        picture_bytes=limits.picture_bytes,
        by_url=limits.by_url,
        text_alone=limits.text_alone,
        caption_limit=spec.text_limit if limits.caption_limit is None else limits.caption_limit,
        remembered_seconds=_seconds(limits.dedup_window),
    )


def _hooks(spec: Spec, *, sets_itself: bool) -> Hooks:
    return Hooks(secrets=sorted(spec.hook_secrets), of_app=spec.hook_of_app, sets_itself=sets_itself)


def _change(adapter_class: type[Adapter], change: NativeChange) -> ChangeUse:
    seen = changes.sightings(adapter_class, change)
    has_hook = issubclass(adapter_class, capabilities.Receives)
    rendered = [
        ChangeSeen(
            through=one.through,
            within_seconds=_seconds(one.within),
            within_seconds_with_hook=int(one.within_with_hook.total_seconds()),
        )
        for one in seen or ()
    ]
    return ChangeUse(seen=None if seen is None else rendered, text=changes.text_of(seen, has_hook=has_hook))


def _limit(one: RateLimit) -> Limit:
    return Limit(name=one.name, calls=one.calls, seconds=one.seconds, scope=one.scope, token=one.token)


def _seconds(time: timedelta | None) -> int | None:
    return None if time is None else int(time.total_seconds())
