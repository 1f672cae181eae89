"""Request and response bodies of alerts."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from app.alerts import channels
from app.alerts.kinds import kinds
from app.alerts.models import AlertStatus, BotStatus, DeliveryStatus, Timing
from app.kit.schemas import Id, Input, Instant, Output, Patch, Text, example
from app.projects.schemas import Zone

DAY_MINUTES: Final = 24 * 60


def _is_channel(value: str) -> str:
    if value not in channels.every():
        raise ValueError(f"must be one of {', '.join(channels.every())}")
    return value


def _is_kind(value: str) -> str:
    if value not in kinds():
        raise ValueError(f"must be one of {', '.join(kinds())}")
    return value


def _is_printable(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without spaces")
    return value


Channel = Annotated[Text, Field(max_length=64, examples=["mail"]), AfterValidator(_is_channel)]
KindKey = Annotated[Text, Field(max_length=64, examples=["inquiry-waiting"]), AfterValidator(_is_kind)]


class AlertDeliveryRead(Output):
    """An alert to one person by one channel."""

    user_id: Id = Field(description="Who is told.")
    name: str = Field(description="The person's name.")
    channel: str = Field(description="`mail`, or the platform whose bot writes to them.")
    status: DeliveryStatus = Field(
        description="`unknown`: it may have arrived, and is not sent again by this channel. `cancelled`: the alert "
        "ended, was taken up or became somebody else's before it was due."
    )
    due_at: Instant = Field(description="When it is sent, or tried again.")
    sent_at: Instant | None = Field(description="When it was accepted; null: it is not known to be.")
    detail: str | None = Field(description="Why it is not sent (yet).")


class AlertRead(Output):
    """Something that needs, or needed, a person."""

    id: Id = Field(description="The alert's id.")
    kind: str = Field(description="What it is about, as `GET /v1/me/alerts` lists the kinds.")
    title: str = Field(description="The kind in words.")
    project_id: Id | None = Field(description="The project; null: it is about the agency or the installation.")
    subject_id: Id = Field(description="The inquiry, message, post, community or token that it is about.")
    since: Instant = Field(description="Since when it needs a person.")
    facts: dict[str, str] = Field(description="What its text names: titles, and instants.")
    status: AlertStatus = Field(description="`ended`: it needs nobody any more, by itself.")
    opened_at: Instant = Field(description="When it was found.")
    ended_at: Instant | None = Field(description="When it was found to be over; null: it is not.")
    acknowledged_at: Instant | None = Field(description="When somebody took it up; null: nobody has.")
    acknowledged_by: Id | None = Field(description="The user who took it up.")
    deliveries: list[AlertDeliveryRead] = Field(description="Who is told of it, by which channels.")


class ThresholdRead(Output):
    """How long something may last in a project before anybody is alerted."""

    kind: str = Field(description="The kind of alert.")
    title: str = Field(description="The kind in words.")
    minutes: int = Field(description="How long it may last.")
    in_working_time: bool = Field(description="Only the project's working time counts.")
    is_default: bool = Field(description="Nobody has set it.")


class AlertPolicyRead(Output):
    """How patient a project is."""

    project_id: Id = Field(description="The project.")
    thresholds: list[ThresholdRead] = Field(description="Each kind of alert about projects.")


class Threshold(Input):
    """How long something may last."""

    kind: KindKey = Field(description="The kind of alert.")
    minutes: int = Field(
        strict=True,
        ge=0,
        le=60 * DAY_MINUTES,
        description="Of working time where the kind counts that; 0: at once.",
        examples=[90],
    )


class AlertPolicyUpdate(Input):
    """How patient a project is, in place of what was set before."""

    model_config = example({"thresholds": [{"kind": "inquiry-waiting", "minutes": 90}]})

    thresholds: list[Threshold] = Field(
        max_length=100, description="Those that differ from the kinds' own; others go back to these."
    )


class KindRead(Output):
    """A kind of alert."""

    key: str = Field(description="Its key, as in alerts and `muted_kinds`.")
    title: str = Field(description="What it is about.")


class LastDelivery(Output):
    """The last alert by a channel."""

    status: DeliveryStatus = Field(description="What became of it.")
    due_at: Instant = Field(description="When it was, or is, due.")
    sent_at: Instant | None = Field(description="When it was accepted; null: it is not known to be.")
    detail: str | None = Field(description="Why it is not sent (yet).")


class ChannelRead(Output):
    """A channel by which a person can be told."""

    channel: str = Field(description="`mail`, or a platform whose bots write to people.")
    is_ready: bool = Field(description="The person can be reached by it.")
    reason: str | None = Field(description="Why not, and what to do; null: it is ready.")
    last: LastDelivery | None = Field(description="The last alert by it; null: there was none.")


class MyAlertsRead(Output):
    """How you are told of alerts."""

    channels: list[str] | None = Field(description="By which you want to be told; null: by all that are ready.")
    muted_kinds: list[str] = Field(description="Of which you do not want to be told.")
    timing: Timing = Field(description="When you are told.")
    digest_hour: int = Field(description="With `digest`: the hour of the day, by the clock of `timezone`.")
    timezone: str = Field(description="Your time zone.")
    away_until: Instant | None = Field(
        description="Until then those who stand in for you are told; null: you are here."
    )
    reachable: list[ChannelRead] = Field(description="The channels that there are.")
    kinds: list[KindRead] = Field(description="The kinds of alert that there are.")


class MyAlertsUpdate(Patch):
    """How you want to be told of alerts."""

    model_config = example({"timing": "digest", "digest_hour": 9, "timezone": "Europe/Minsk"})

    channels: list[Channel] | None = Field(
        max_length=20, description="By which you want to be told; null: by all that are ready.", examples=[["mail"]]
    )
    muted_kinds: list[KindKey] = Field(
        max_length=100, description="Of which you do not want to be told.", examples=[["post-overdue"]]
    )
    timing: Timing = Field(
        description="`at_once`; `working_hours`: in those of the alert's project; `digest`: once a day. What is urgent "
        "comes at once in any case.",
        examples=["digest"],
    )
    digest_hour: int = Field(
        strict=True, ge=0, le=23, description="The hour of the day, by the clock of `timezone`.", examples=[9]
    )
    timezone: Zone = Field(description="Your time zone, for the digest.")
    away_until: Instant | None = Field(
        description="Until then whoever stands in for your seats is told instead of you; null: you are here.",
        examples=["2026-11-02T06:00:00Z"],
    )


class ChatLinkMade(Output):
    """What links your chat with the agency's bot."""

    link: str = Field(description="Open it on the device where you use the platform, and start the chat.")
    code: str = Field(description="The same as a code: send `/start`, a space and this to the bot.")
    expires_at: Instant = Field(description="Until when it can be used, once.")


class AlertBotUpdate(Input):
    """The agency's own bot on a platform."""

    model_config = example({"token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"})

    token: Annotated[
        SecretStr,
        Field(
            strict=True,
            min_length=10,
            max_length=200,
            json_schema_extra={"pattern": "^[!-~]+$"},
            description="Of a bot that does nothing else: whoever else reads its updates would take its codes. It is "
            "stored sealed and not shown.",
            examples=["110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"],
        ),
        AfterValidator(_is_printable),
    ]


class AlertBotRead(Output):
    """The agency's own bot on a platform; its token is not shown."""

    platform: str = Field(description="The platform's key.")
    username: str | None = Field(description="As the platform names it; null: it has not said so yet.")
    status: BotStatus = Field(description="Whether it can be used.")
    detail: str | None = Field(description="Why not; null: nothing is wrong.")
    updated_at: Instant = Field(description="When its token was set.")


class AlertBots(Output):
    """The agency's own bots."""

    data: list[AlertBotRead] = Field(description="One for each platform at most.")
