"""What each platform can and cannot give, read off the adapters."""

from pydantic import BaseModel, Field

from app.kit.routing import router
from app.platforms import adapters
from app.platforms.abilities import ListsComments, Receives, Replies
from app.platforms.contract import Adapter, Metric, MetricStatus, Token

PUBLIC = router("/v1/platforms", tag="platforms", public=True)

ABILITIES = {"comments": ListsComments, "reply": Replies, "hooks": Receives}
"""What a platform may be able to do beyond size, posts, counters and conversations."""


class Limit(BaseModel):
    """A limit we keep to."""

    calls: int
    seconds: int
    scope: str


class Platform(BaseModel):
    """A platform's capabilities."""

    key: str = Field(examples=["mastodon"])
    title: str
    api_version: str
    address_hint: str = Field(description="How a community's address is written.")
    public: bool = Field(description="Size and posts can be read without any token.")
    tokens: list[Token] = Field(description="The kinds of token it knows how to use.")
    metrics: dict[Metric, MetricStatus] = Field(description="`unsupported`: the platform gives no such number.")
    abilities: dict[str, bool]
    text_limit: int = Field(description="Characters of one post.")
    limits: list[Limit]


class Platforms(BaseModel):
    """The capability matrix."""

    data: list[Platform]


@PUBLIC.get("", operation_id="platforms.list")
async def list_platforms() -> Platforms:
    """The platforms this service speaks to, and what each can and cannot give."""
    return Platforms(data=[describe(kind) for _, kind in sorted(adapters().items())])


def describe(kind: type[Adapter]) -> Platform:
    """A platform's row of the matrix."""
    spec = kind.spec
    return Platform(
        key=spec.key,
        title=spec.title,
        api_version=spec.api_version,
        address_hint=spec.address_hint,
        public=spec.public,
        tokens=sorted(spec.tokens),
        metrics={metric: MetricStatus.OK if metric in spec.metrics else MetricStatus.UNSUPPORTED for metric in Metric},
        abilities={name: issubclass(kind, ability) for name, ability in ABILITIES.items()},
        text_limit=spec.text_limit,
        limits=[Limit(calls=b.calls, seconds=b.seconds, scope=b.scope.value) for b in spec.budgets],
    )
