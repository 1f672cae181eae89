"""Alerts over HTTP: what opens and ends one, who is told, when, and in what words."""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from app.alerts.kinds import kinds
from app.communities.models import Community, CommunityToken
from app.inquiries.models import Inquiry
from app.kit import jobs, scheduler
from app.kit.i18n import LANGUAGES, translate
from app.kit.ids import uuid7
from app.kit.jobs import Job
from app.posts.models import Post
from tests.access.people import invited
from tests.alerts.conftest import DAY, HOUR, MINUTE, Setup
from tests.conftest import Agency


async def test_a_customer_who_waits_too_long_is_told_of_once(setup: Setup) -> None:
    inquiry_id = await setup.wait()
    setup.clock.advance(59 * MINUTE)
    await setup.watch()
    assert await setup.alerts() == []
    setup.clock.advance(MINUTE)
    for _ in range(3):
        await setup.watch()
        await setup.deliver()
    alert = await setup.alert(status="open", kind="inquiry-waiting", project_id=setup.project)
    assert (alert["subject_id"], alert["status"]) == (str(inquiry_id), "open")
    assert alert["facts"] == {"community": "Coffee at Nina's"}
    (delivery,) = alert["deliveries"]
    assert (delivery["user_id"], delivery["channel"], delivery["status"]) == (setup.manager.id, "mail", "sent")
    (arrived,) = setup.server.accepted
    assert arrived["to"].addresses[0].addr_spec == setup.manager.email
    assert arrived["subject"] == "A customer waits for an answer · Step & Co"
    plain = arrived.get_body(("plain",))
    assert plain is not None
    text = "Coffee at Nina's: a customer has been waiting since October 15, 2026, 15:00 (Minsk time)."
    assert text in plain.get_content()
    assert await setup.agency.get(f"/v1/alerts/{alert['id']}") == alert


async def test_only_working_time_counts(setup: Setup) -> None:
    setup.clock.advance(2 * HOUR + 30 * MINUTE)  # 17:30
    await setup.wait()
    setup.clock.advance(15 * HOUR)  # 8:30 the next morning
    await setup.watch()
    assert setup.server.accepted == []
    setup.clock.advance(HOUR)  # 9:30: half an hour on either side of the night
    await setup.watch()
    await setup.deliver()
    assert len(setup.server.accepted) == 1


async def test_a_project_may_be_more_patient(setup: Setup) -> None:
    path = f"/v1/projects/{setup.project}/alert-policy"
    before = {one["kind"]: one for one in (await setup.agency.get(path))["thresholds"]}
    assert (before["inquiry-waiting"]["minutes"], before["inquiry-waiting"]["is_default"]) == (60, True)
    assert "installation-not-ready" not in before
    changed = await setup.agency.put(path, {"thresholds": [{"kind": "inquiry-waiting", "minutes": 90}]})
    assert changed == await setup.agency.get(path)
    await setup.wait()
    for minutes, number in ((89, 0), (1, 1)):
        setup.clock.advance(minutes * MINUTE)
        await setup.watch()
        assert len(await setup.alerts()) == number
    unknown = await setup.agency.put(path, {"thresholds": [{"kind": "no-such", "minutes": 90}]}, 422)
    assert "Must be one of" in unknown["errors"][0]["detail"]


async def test_what_ended_by_itself_is_not_sent(setup: Setup) -> None:
    """Also where nothing has looked since: the question is asked again before it is sent."""
    inquiry_id = await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    await setup.answer(inquiry_id)
    await setup.deliver()
    assert setup.server.accepted == []
    alert = await setup.alert()
    assert (alert["status"], alert["ended_at"]) == ("ended", "2026-10-15T13:00:00Z")
    assert [one["status"] for one in alert["deliveries"]] == ["cancelled"]


async def test_an_alert_that_stands_is_sent_without_that_question_ending_it(setup: Setup) -> None:
    """The control of the test before."""
    await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    await setup.deliver()
    assert len(setup.server.accepted) == 1
    assert (await setup.alert())["status"] == "open"


async def test_an_answered_customer_who_waits_again_is_another_alert(setup: Setup) -> None:
    inquiry_id = await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    await setup.deliver()
    await setup.answer(inquiry_id)
    await setup.watch()
    assert (await setup.alert())["status"] == "ended"
    async with setup.resources.transaction(setup.agency.workspace_id) as session:
        await session.execute(
            update(Inquiry).where(Inquiry.id == inquiry_id).values(waiting_since=setup.clock.now(), status="open")
        )
    setup.clock.advance(HOUR)
    await setup.watch()
    await setup.deliver()
    assert len(setup.server.accepted) == 2
    assert len(setup.server.distinct) == 2


async def test_what_waited_before_the_community_was_connected_is_a_backlog(setup: Setup) -> None:
    await setup.wait(since=setup.clock.now() - 20 * DAY)
    await setup.watch()
    assert await setup.alerts() == []


async def test_what_somebody_takes_up_is_not_sent(setup: Setup) -> None:
    await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    alert = await setup.alert()
    taken = await setup.manager.http.post(f"/v1/alerts/{alert['id']}/acknowledge")
    assert taken.status_code == 200
    assert (taken.json()["status"], taken.json()["acknowledged_by"]) == ("acknowledged", setup.manager.id)
    await setup.deliver()
    assert setup.server.accepted == []
    again = await setup.agency.post(f"/v1/alerts/{alert['id']}/acknowledge", status=200)
    assert again["acknowledged_by"] == setup.manager.id
    assert await setup.alerts(status="open") == []


async def test_an_ended_alert_is_not_taken_up(setup: Setup) -> None:
    inquiry_id = await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    await setup.answer(inquiry_id)
    await setup.watch()
    refused = await setup.agency.post(f"/v1/alerts/{(await setup.alert())['id']}/acknowledge", status=409)
    assert refused["code"] == "alert-ended"


# ── whose it is ───────────────────────────────────────────────────────────────────────────────────


async def test_where_nobody_has_the_seat_the_managers_are_told_and_else_the_owners(setup: Setup) -> None:
    """Of a late post: its content manager, else the manager, else the owner."""
    reached = []
    for seat in (None, "manager", "content_manager"):
        if seat is not None:
            person = await invited(setup.app, await _without_mail(setup), seat, seats={setup.project: seat})
            _with_mail(setup)
        await _plan_post(setup, setup.clock.now() - HOUR)
        await setup.watch()
        await setup.deliver()
        reached.append(setup.server.recipients[-1] if seat is None else setup.server.recipients[-1] == person.email)
    owner = (await setup.agency.get("/v1/me"))["user"]["email"]
    assert reached == [owner, True, True]
    assert len(setup.server.accepted) == 3


async def _without_mail(setup: Setup) -> Agency:
    """The agency, while invitations are answered with their links."""
    settings = setup.resources.settings.model_copy(update={"smtp_host": None})
    setup.app.state.resources = dataclasses.replace(setup.resources, settings=settings)
    return setup.agency


def _with_mail(setup: Setup) -> None:
    setup.app.state.resources = setup.resources


async def _plan_post(setup: Setup, at: datetime) -> None:
    async with setup.resources.transaction(setup.agency.workspace_id) as session:
        session.add(
            Post(
                workspace_id=setup.agency.workspace_id,
                id=uuid7(),
                project_id=uuid.UUID(setup.project),
                community_id=setup.community,
                origin="planned",
                text="x",
                status="planned",
                timezone="UTC",
                planned_for=at.replace(tzinfo=None),
                planned_at=at,
                created_at=at,
                updated_at=at,
            )
        )


async def test_who_stands_in_is_told_while_one_is_away(setup: Setup) -> None:
    other = await invited(setup.app, await _without_mail(setup), "Vera", seats={setup.project: "designer"})
    _with_mail(setup)
    seats = (await setup.agency.get(f"/v1/projects/{setup.project}/seats"))["data"]
    (seat,) = [one for one in seats if one["user_id"] == setup.manager.id]
    await setup.agency.patch(f"/v1/projects/{setup.project}/seats/{seat['id']}", {"stands_in_id": other.id})
    until = setup.clock.now() + 90 * MINUTE
    await setup.prefer(setup.manager, away_until=until.isoformat())
    for _ in range(2):
        await setup.wait()
        setup.clock.advance(HOUR)
        await setup.watch()
        await setup.deliver()
    assert setup.server.recipients == [other.email, setup.manager.email]


async def test_what_becomes_somebody_elses_is_not_sent_to_the_one_before(setup: Setup) -> None:
    await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    seats = (await setup.agency.get(f"/v1/projects/{setup.project}/seats"))["data"]
    await setup.agency.http.delete(f"/v1/projects/{setup.project}/seats/{seats[0]['id']}")
    await setup.deliver()
    assert setup.server.accepted == []
    assert [one["detail"] for one in (await setup.alert())["deliveries"]] == ["It is somebody else's now."]


async def test_a_client_sees_no_alert_and_a_rival_none_of_ours(setup: Setup, rival: Agency) -> None:
    await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    alert = await setup.alert()
    client = await invited(setup.app, await _without_mail(setup), "Client", seats={setup.project: "client"})
    _with_mail(setup)
    assert (await client.http.get("/v1/alerts")).status_code == 403
    assert (await rival.get("/v1/alerts"))["data"] == []
    await rival.get(f"/v1/alerts/{alert['id']}", 404)


# ── when and how ──────────────────────────────────────────────────────────────────────────────────


async def test_at_night_only_who_wants_it_is_told_at_once(setup: Setup) -> None:
    await setup.agency.put(
        f"/v1/projects/{setup.project}/alert-policy", {"thresholds": [{"kind": "inquiry-waiting", "minutes": 0}]}
    )
    setup.clock.advance(10 * HOUR)  # 1:00
    await setup.wait()
    await setup.watch()
    await setup.deliver()
    assert setup.server.accepted == []
    assert (await setup.alert())["deliveries"][0]["due_at"] == "2026-10-16T06:00:00Z"  # 9:00 in Minsk
    await setup.prefer(setup.manager, timing="at_once")
    await setup.wait()
    await setup.watch()
    await setup.deliver()
    assert len(setup.server.accepted) == 1


async def test_a_digest_is_one_message_a_day(setup: Setup) -> None:
    await setup.prefer(setup.manager, timing="digest", digest_hour=8, timezone="Asia/Tokyo")
    for _ in range(3):
        await setup.wait()
        setup.clock.advance(HOUR)
        await setup.watch()
        await setup.deliver()
    assert setup.server.accepted == []
    setup.clock.at = datetime(2026, 10, 15, 23, 0, tzinfo=UTC)  # 8:00 in Tokyo
    await setup.deliver()
    (arrived,) = setup.server.accepted
    assert arrived["subject"] == "3 alerts · Step & Co"
    assert await setup.statuses() == ["sent"] * 3


async def test_many_at_once_are_one_message_with_their_number(setup: Setup) -> None:
    for _ in range(25):
        await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    await setup.deliver()
    (arrived,) = setup.server.accepted
    plain = arrived.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().count("has been waiting") == 20
    assert "5 alerts more" in plain.get_content()
    assert await setup.statuses() == ["sent"] * 25


async def test_who_does_not_want_a_kind_or_a_channel_is_not_told(setup: Setup) -> None:
    await setup.wait()
    await setup.prefer(setup.manager, muted_kinds=["inquiry-waiting"])
    setup.clock.advance(HOUR)
    await setup.watch()
    assert (await setup.alert())["deliveries"] == []
    await setup.prefer(setup.manager, muted_kinds=[], channels=[])
    await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    await setup.deliver()
    assert setup.server.accepted == []


async def test_alerts_are_in_the_language_of_whoever_gets_them(setup: Setup) -> None:
    await setup.manager.http.patch("/v1/me", json={"language": "ru"})
    await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    await setup.deliver()
    (arrived,) = setup.server.accepted
    assert arrived["subject"] == "Клиент ждёт ответа · Step & Co"
    assert arrived["content-language"] == "ru"


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_kind_has_words_in_every_language(kind: str) -> None:
    for language in LANGUAGES[1:]:
        for text in (kinds()[kind].title, kinds()[kind].text):
            assert translate(text, language) != text


# ── the kinds ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_late_post_ends_when_it_is_published(setup: Setup) -> None:
    await _plan_post(setup, setup.clock.now() - 2 * HOUR)
    await setup.watch()
    assert (await setup.alert())["kind"] == "post-overdue"
    async with setup.resources.transaction(setup.agency.workspace_id) as session:
        await session.execute(update(Post).values(status="published", published_at=setup.clock.now()))
    await setup.watch()
    assert (await setup.alert())["status"] == "ended"


async def test_a_token_that_ends_and_a_refused_one(setup: Setup) -> None:
    ends = setup.clock.now() + 6 * DAY
    async with setup.resources.transaction(setup.agency.workspace_id) as session:
        session.add(
            CommunityToken(
                workspace_id=setup.agency.workspace_id,
                id=uuid7(),
                community_id=setup.community,
                kind="community",
                sealed="x",
                fingerprint="x",
                expires_at=ends,
                warned_at=setup.clock.now(),
                updated_at=setup.clock.now(),
            )
        )
    await setup.watch()
    alert = await setup.alert()
    assert (alert["kind"], alert["facts"]["expires_at"]) == ("token-expiring", ends.isoformat())
    await _set(setup, status="reauth_required")
    await setup.watch()
    await _set(setup, polled_at=setup.clock.now() + MINUTE)
    await setup.watch()
    both = await setup.alerts()
    assert sorted(one["kind"] for one in both) == ["reconnect-needed", "token-expiring"]
    await _set(setup, status="healthy")
    await setup.watch()
    assert (await setup.alert(kind="reconnect-needed"))["status"] == "ended"


async def _set(setup: Setup, **values: object) -> None:
    async with setup.resources.transaction(setup.agency.workspace_id) as session:
        await session.execute(update(Community).where(Community.id == setup.community).values(**values))


async def test_a_community_from_which_nothing_comes(setup: Setup) -> None:
    for hours, number in ((23, 0), (1, 1)):
        setup.clock.advance(hours * HOUR)
        await setup.watch()
        assert len(await setup.alerts()) == number
    await _set(setup, last_event_at=setup.clock.now())
    await setup.watch()
    assert (await setup.alert())["status"] == "ended"


async def test_of_an_archived_project_nobody_is_told(setup: Setup) -> None:
    await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    assert (await setup.alert())["status"] == "open"
    await setup.agency.patch(f"/v1/projects/{setup.project}", {"archived": True})
    await setup.watch()
    assert (await setup.alert())["status"] == "ended"
    setup.clock.advance(3 * DAY)
    await setup.watch()
    assert len(await setup.alerts()) == 1


async def test_owners_are_told_where_jobs_are_late(setup: Setup) -> None:
    await setup.agency.patch("/v1/me/alerts", {"muted_kinds": []})
    async with setup.resources.transaction(None) as session:
        await jobs.enqueue(session, "alerts.late", workspace_id=None, key=str(uuid.uuid4()))
    setup.clock.advance(6 * MINUTE)
    await scheduler.heartbeat(setup.resources, "w")
    await setup.watch()
    alert = await setup.alert(kind="installation-not-ready")
    assert alert["project_id"] is None
    owner = (await setup.agency.get("/v1/me"))["user"]["id"]
    assert [one["user_id"] for one in alert["deliveries"]] == [owner]
    async with setup.resources.transaction(None) as session:
        await session.execute(update(Job).where(Job.state == "waiting").values(run_at=setup.clock.now()))
    await setup.watch()
    assert (await setup.alert(kind="installation-not-ready"))["status"] == "ended"


async def test_filters_and_pages(setup: Setup) -> None:
    for _ in range(3):
        await setup.wait()
    setup.clock.advance(HOUR)
    await setup.watch()
    first = await setup.agency.get("/v1/alerts?limit=2&status=open&kind=inquiry-waiting")
    rest = await setup.agency.get(f"/v1/alerts?limit=2&status=open&kind=inquiry-waiting&cursor={first['next_cursor']}")
    ids = [one["id"] for page in (first, rest) for one in page["data"]]
    assert len(set(ids)) == 3
    assert await setup.alerts(status="acknowledged") == []
    assert await setup.alerts(kind="post-overdue") == []
    assert (await setup.agency.get("/v1/alerts", 422, kind="post-overdew"))["code"] == "unknown-kind"


async def test_a_test_alert_arrives_and_says_so(setup: Setup) -> None:
    assert (await setup.manager.http.post("/v1/me/alerts/test")).status_code == 202
    setup.server.on_recipient = ["550 no such person"]
    await setup.agency.work("alerts.try-channels", "alerts.deliver")
    own = await setup.manager.get("/v1/me/alerts")
    (mail,) = [one for one in own["reachable"] if one["channel"] == "mail"]
    assert mail["last"]["status"] == "failed"
    assert "550: no such person" in mail["last"]["detail"]
    assert (await setup.manager.http.post("/v1/me/alerts/test")).status_code == 202
    await setup.agency.work("alerts.try-channels", "alerts.deliver")
    assert len(setup.server.to(setup.manager.email)) == 1
    (mail,) = [one for one in (await setup.manager.get("/v1/me/alerts"))["reachable"] if one["channel"] == "mail"]
    assert (mail["is_ready"], mail["last"]["status"]) == (True, "sent")


async def test_a_day_without_a_watch_opens_what_stands_and_nothing_else(setup: Setup) -> None:
    over, standing = await setup.wait(), await setup.wait()
    setup.clock.advance(timedelta(hours=2))
    await setup.answer(over)
    await setup.watch()
    assert (await setup.alert())["subject_id"] == str(standing)
