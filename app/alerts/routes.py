"""Alerts over HTTP: the list, how a person is told, a project's thresholds, the agency's bots."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Path, Query, Response, status
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.current import CurrentActor, ListDep, ResourcesDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.access.schemas import Done
from app.alerts import channels, reads, service
from app.alerts.kinds import TEST, kinds
from app.alerts.models import AlertBot, AlertPreference, AlertStatus
from app.alerts.schemas import (
    AlertBotRead,
    AlertBots,
    AlertBotUpdate,
    AlertPolicyRead,
    AlertPolicyUpdate,
    AlertRead,
    ChannelRead,
    ChatLinkMade,
    KindRead,
    LastDelivery,
    MyAlertsRead,
    MyAlertsUpdate,
    ThresholdRead,
)
from app.kit.db import workspace_of
from app.kit.errors import Invalid
from app.kit.lists import json_page, json_response
from app.kit.paging import Cursor, Limit, Page
from app.kit.routing import problems
from app.kit.schemas import Text
from app.settings import Settings

ROUTER = Router("/v1", tag="alerts")

MessengerParam = Annotated[
    Text, Path(description="A platform whose bots can write to people, as `GET /v1/platforms` says (`notify`).")
]
KindParam = Annotated[Text | None, Query(description="Only alerts of this kind.", examples=["inquiry-waiting"])]

_NO_MAIL: Final = "This installation sends no mail: INSTEP_SMTP_HOST is not set."
_NO_BOT: Final = "The agency has no bot there that can be used, or you have not linked your chat with it."


@ROUTER.get("/alerts", operation_id="alerts.list", permission=Permission.ALERTS_READ, response_model=Page[AlertRead])
async def list_alerts(
    request: ListDep,
    project_id: Annotated[UUID | None, Query(description="Only alerts of this project.")] = None,
    kind: KindParam = None,
    status: Annotated[AlertStatus | None, Query(description="Only alerts that stand so.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """What needs, or needed, a person, latest first, and who was told.

    Alerts about the agency as a whole are shown to those who see all of its projects.
    """
    if kind is not None and kind not in kinds() and kind != TEST:
        raise Invalid(
            f"There is no such kind of alert; there are {', '.join(kinds())}.",
            code="unknown-kind",
            errors=[{"in": "query", "field": "kind", "code": "unknown-kind", "detail": "There is no such kind."}],
        )
    filters = {"project_id": project_id, "kind": kind, "status": status}
    rows, next_cursor = await request.page(reads.ALERTS, sort=None, limit=limit, cursor=cursor, filters=filters)
    return json_page([reads.alert_read(row) for row in rows], next_cursor)


@ROUTER.get(
    "/alerts/{alert_id}",
    operation_id="alerts.read",
    permission=Permission.ALERTS_READ,
    response_model=AlertRead,
    responses=problems(404),
)
async def read(alert_id: UUID, request: ListDep) -> Response:
    """An alert, and who was told of it.

    A delivery that failed, or of which nobody knows whether it arrived, says why.
    """
    return json_response(reads.alert_read(await request.one(reads.ALERTS, alert_id)))


@ROUTER.post(
    "/alerts/{alert_id}/acknowledge",
    operation_id="alerts.acknowledge",
    permission=Permission.ALERTS_WRITE,
    response_model=AlertRead,
    responses=problems(404, 409),
)
async def acknowledge(alert_id: UUID, actor: CurrentActor, session: SessionDep) -> Response:
    """Take an alert up.

    Who was not told of it yet is not told any more. What it is about stays as it is: answer the inquiry, say.
    """
    await service.acknowledge(session, actor, alert_id=alert_id, user_id=actor.user_id)
    return json_response(await reads.changed(session, alert_id))


@ROUTER.get("/me/alerts", operation_id="my-alerts.read", permission=Permission.WORKSPACE_READ)
async def read_own(actor: CurrentActor, session: SessionDep, resources: ResourcesDep) -> MyAlertsRead:
    """How you are told of alerts in this agency, and by which channels you can be.

    Each channel shows the last alert that went, or did not go, by it.
    """
    stored = await service.preference(session, actor.user_id)
    return await _own(session, resources.settings, stored)


@ROUTER.patch("/me/alerts", operation_id="my-alerts.update", permission=Permission.WORKSPACE_READ)
async def update_own(
    body: MyAlertsUpdate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> MyAlertsRead:
    """Change how you are told of alerts, from the next one on.

    What does not arrive by the channel that you want is tried by your other ones.
    """
    stored = await service.change_preference(session, actor, user_id=actor.user_id, changes=body.changes())
    return await _own(session, resources.settings, stored)


async def _own(session: AsyncSession, settings: Settings, stored: AlertPreference) -> MyAlertsRead:
    ready = (await channels.of_people(session, settings, [stored.user_id]))[stored.user_id]
    last = await reads.last_deliveries(session, stored.user_id)
    return MyAlertsRead(
        channels=stored.channels,
        muted_kinds=stored.muted_kinds,
        timing=stored.timing,
        digest_hour=stored.digest_hour,
        timezone=stored.timezone,
        away_until=stored.away_until,
        reachable=[
            ChannelRead(
                channel=one,
                is_ready=one in ready,
                reason=None if one in ready else _NO_MAIL if one == channels.MAIL else _NO_BOT,
                last=LastDelivery.model_validate(last[one]) if one in last else None,
            )
            for one in channels.every()
        ],
        kinds=[KindRead(key=one.key, title=one.title) for one in kinds().values()],
    )


@ROUTER.post(
    "/me/alerts/test",
    operation_id="my-alerts.test",
    permission=Permission.WORKSPACE_READ,
    status_code=status.HTTP_202_ACCEPTED,
)
async def try_own(actor: CurrentActor, session: SessionDep) -> Done:
    """Have a test alert sent to you, at once, by each channel that you want and that is ready.

    What became of it is in `GET /v1/me/alerts`, as the last alert by each channel.
    """
    await service.test_channels(session, actor, user_id=actor.user_id)
    return Done()


@ROUTER.post(
    "/me/alerts/chats/{messenger}",
    operation_id="my-alerts.link-chat",
    permission=Permission.WORKSPACE_READ,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def link_chat(messenger: MessengerParam, actor: CurrentActor, session: SessionDep) -> ChatLinkMade:
    """Get a code that links your chat with the agency's bot.

    Open the link and start the chat within a quarter of an hour; a few seconds later you can be told there.
    """
    made = await service.link_chat(session, actor, platform=messenger, user_id=actor.user_id)
    return ChatLinkMade(link=made.link, code=made.code, expires_at=made.expires_at)


@ROUTER.delete(
    "/me/alerts/chats/{messenger}",
    operation_id="my-alerts.unlink-chat",
    permission=Permission.WORKSPACE_READ,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404),
)
async def unlink_chat(messenger: MessengerParam, actor: CurrentActor, session: SessionDep) -> None:
    """Forget your chat with the agency's bot.

    You are not told there any more; a code that was not used is void.
    """
    await service.unlink_chat(session, actor, platform=messenger, user_id=actor.user_id)


@ROUTER.get(
    "/projects/{project_id}/alert-policy",
    operation_id="alert-policies.read",
    permission=Permission.ALERTS_READ,
    responses=problems(404),
)
async def read_policy(project_id: UUID, session: SessionDep) -> AlertPolicyRead:
    """How long something may last in a project before anybody is alerted.

    Each kind has a threshold of its own unless the project has set another.
    """
    return _policy(project_id, dict(await service.minutes_of(session, project_id)))


@ROUTER.put(
    "/projects/{project_id}/alert-policy",
    operation_id="alert-policies.replace",
    permission=Permission.PROJECTS_WRITE,
    responses=problems(404),
)
async def replace_policy(
    project_id: UUID, body: AlertPolicyUpdate, actor: CurrentActor, session: SessionDep
) -> AlertPolicyRead:
    """Set how long something may last in a project before anybody is alerted.

    It holds for alerts that are not open yet.
    """
    minutes = {one.kind: one.minutes for one in body.thresholds}
    return _policy(project_id, dict(await service.set_minutes(session, actor, project_id=project_id, minutes=minutes)))


def _policy(project_id: UUID, minutes: dict[str, int]) -> AlertPolicyRead:
    return AlertPolicyRead(
        project_id=project_id,
        thresholds=[
            ThresholdRead(
                kind=one.key,
                title=one.title,
                minutes=minutes.get(one.key, int(one.threshold.total_seconds()) // 60),
                in_working_time=one.in_working_time,
                is_default=one.key not in minutes,
            )
            for one in kinds().values()
            if one.seats
        ],
    )


@ROUTER.get("/alert-bots", operation_id="alert-bots.list", permission=Permission.ALERT_BOTS_WRITE)
async def list_bots(session: SessionDep) -> AlertBots:
    """The agency's own bots, with which it writes to its people.

    Their tokens are stored sealed and not shown.
    """
    query = select(AlertBot).where(AlertBot.workspace_id == workspace_of(session)).order_by(AlertBot.platform)
    return AlertBots(data=[AlertBotRead.model_validate(row) for row in await session.scalars(query)])


@ROUTER.put(
    "/alert-bots/{messenger}",
    operation_id="alert-bots.replace",
    permission=Permission.ALERT_BOTS_WRITE,
    responses=problems(404),
)
async def set_bot(
    messenger: MessengerParam, body: AlertBotUpdate, actor: CurrentActor, session: SessionDep, resources: ResourcesDep
) -> AlertBotRead:
    """Set the bot with which the agency writes to its people on a platform.

    A job asks the platform whether the token is good: `status` says so a moment later. With another bot than before
    people link their chats anew.
    """
    stored = await service.set_bot(session, actor, resources.keyring, platform=messenger, token=body.token)
    return AlertBotRead.model_validate(stored)


@ROUTER.delete(
    "/alert-bots/{messenger}",
    operation_id="alert-bots.remove",
    permission=Permission.ALERT_BOTS_WRITE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404),
)
async def remove_bot(messenger: MessengerParam, actor: CurrentActor, session: SessionDep) -> None:
    """Forget a bot, its token, and people's chats with it.

    Nobody is told of alerts there any more.
    """
    await service.remove_bot(session, actor, platform=messenger)
