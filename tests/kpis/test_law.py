"""The law of all KPIs: the value over any window, in any zone, is what a recount of the raw rows gives.

Every KPI of the registry is asked over HTTP about random histories: as a whole, by day, week or month, by community and
for the window before. `tests/kpis/histories.py` has the recounts.
"""

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from app import kpis
from app.access.audit.models import AuditEntry
from app.communities.events import CommunityRef, SeenMember
from app.communities.models import Publication
from app.inquiries.models import Inquiry, Message, ResolvedEpisode, ResponseWait
from app.kit.clock import SetClock
from app.kit.db import in_workspace
from app.kit.ids import uuid7, uuid7_at
from app.kpis.contract import Kpi, LoadRequest, Window
from app.kpis.values import AddsUp, Value
from app.links import recording
from app.links.models import Link
from app.links.recording import Visit
from app.metrics import service as metrics
from app.platforms.contract import Metric, MetricStatus, PostMetrics
from app.posts.models import MixPolicyVersion, Post
from app.projects.models import Project, ResponseTarget
from tests.conftest import Agency
from tests.kpis.conftest import Client, empty_project
from tests.kpis.histories import (
    CHANNEL,
    LENGTH,
    NOW,
    OF_LINKS,
    OF_PROJECT,
    RECOUNTS,
    VARIANTS,
    History,
    history,
    recount,
)

LONG_AGO = NOW - timedelta(days=200)
SETTINGS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
Communities = dict[str | None, int | None]
"""Their numbers in the history by id; None: what belongs to no community."""


def test_every_kpi_has_a_recount() -> None:
    assert set(RECOUNTS) == set(kpis.all_kpis())
    assert set(VARIANTS) == {
        # Independent ones are estimates, with laws of their own: tests/campaigns/test_results.py.
        (kpi.key, one.key)
        for kpi in kpis.all_kpis().values()
        for one in kpi.variants
        if not one.independent
    }


def test_what_is_of_the_project_says_so() -> None:
    assert {key for key, kpi in kpis.all_kpis().items() if kpi.is_of_project} == OF_PROJECT


async def _stored(agency: Agency, made: History) -> tuple[Client, Communities]:
    """A project with this history."""
    clock = agency.resources.clock
    assert isinstance(clock, SetClock)
    clock.at = NOW
    client = await empty_project(agency, "Random", made.zone.key)
    refs = [
        await client.connect("telegram" if number == CHANNEL else "vk", created_at=LONG_AGO, backfill_since=LONG_AGO)
        for number in made.communities
    ]
    for ref in refs:
        await client.mark_polled(ref, NOW)
    workspace_id, project_id = agency.workspace_id, uuid.UUID(client.project_id)
    common: dict[str, Any] = {"workspace_id": workspace_id, "project_id": project_id}
    ids: list[uuid.UUID | None] = [ref.community_id for ref in refs]
    await _store_joins(client, made, refs)
    async with agency.resources.transaction(workspace_id) as session:
        links = {number: uuid7() for number in (None, *made.communities)}
        for number, link_id in links.items():
            community_id = None if number is None else ids[number]
            values = {"slug": link_id.hex, "target": "https://nina.example", "created_at": LONG_AGO}
            session.add(Link(**common, id=link_id, community_id=community_id, **values))
        for post, community, at in made.publications:
            values = {"external_id": post.hex, "url": "https://vk.example/1", "text": "…", "published_at": at}
            session.add(Publication(**common, id=post, community_id=refs[community].community_id, **values))
        _add_inquiries(session, common, made, ids)
        for number, one in enumerate(made.posts):
            session.add(
                Post(
                    **common,
                    id=uuid7(),
                    community_id=ids[one.community],
                    origin="planned",
                    text=str(number),
                    category=one.category,
                    status=one.status,
                    timezone=made.zone.key,
                    planned_at=one.planned_at,
                    published_at=one.published_at,
                    created_at=LONG_AGO,
                    updated_at=LONG_AGO,
                )
            )
        for version, (since, shares) in enumerate(made.policies):
            session.add(MixPolicyVersion(**common, version=version + 1, shares=shares, since=since))
        if made.targets_from is not None:
            session.add(
                ResponseTarget(**common, holds_from=made.targets_from, first_response_minutes=60, updated_at=LONG_AGO)
            )
        await session.flush()
        for community, at, size in made.sizes:
            await metrics.record_size(session, refs[community], at, size)
        for community, at, seen in made.polls:
            await metrics.record_posts(
                session, refs[community], at, [(post, _metrics(of)) for post, of in seen.items()]
            )
        _add_deeds(session, common, made, ids)
        created = update(Project).where(in_workspace(Project, workspace_id), Project.id == project_id)
        await session.execute(created.values(created_at=LONG_AGO))
    await _store_clicks(agency, made, links)
    await _store_campaigns(client, made, refs[CHANNEL], links)
    return client, {None: None, **{str(one): number for number, one in enumerate(ids)}}


def _metrics(counters: dict[Metric, int]) -> PostMetrics:
    return PostMetrics("1", counters, {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in counters})


def _add_inquiries(session: Any, common: dict[str, Any], made: History, ids: list[uuid.UUID | None]) -> None:
    for one in made.inquiries:
        session.add(
            Inquiry(
                **common,
                id=one.id,
                community_id=ids[one.community],
                thread_id=one.id.hex,
                channel="comment",
                kind=one.kind,
                status="answered",
                customer_id="1",
                customer_name="Olga",
                preview="How much?",
                opened_at=one.opened_at,
                last_message_at=one.opened_at,
                handled_at=one.handled_at,
            )
        )
    for wait in made.waits:
        ended_by = None if wait.ended_at is None else "answer" if wait.by_answer else "resolution"
        session.add(
            ResponseWait(
                **common,
                inquiry_id=wait.inquiry.id,
                community_id=ids[wait.inquiry.community],
                started_at=wait.started_at,
                due_at=wait.due_at,
                ended_at=wait.ended_at,
                ended_by=ended_by,
                opening=wait.opening,
                working_seconds=wait.seconds,
            )
        )
    for episode in made.episodes:
        session.add(
            ResolvedEpisode(
                **common,
                inquiry_id=episode.inquiry.id,
                community_id=ids[episode.inquiry.community],
                started_at=episode.started_at,
                resolved_at=episode.resolved_at,
                automatic=episode.automatic,
                working_seconds=episode.seconds,
            )
        )


def _add_deeds(session: Any, common: dict[str, Any], made: History, ids: list[uuid.UUID | None]) -> None:
    for change in made.changes:
        values = {"at": change.at, "actor": change.actor, "action": change.action, "subject": {}}
        session.add(AuditEntry(**common, id=uuid7_at(change.at), **values))
    for one in made.messages:
        session.add(
            Message(
                workspace_id=common["workspace_id"],
                id=uuid7(),
                community_id=ids[one.community],
                thread_id="1",
                direction=one.direction,
                automatic=one.automatic,
                author_name="Vera",
                text="…",
                sent_at=one.at,
                delivery=one.delivery,
            )
        )


async def _store_campaigns(
    client: Client, made: History, channel: CommunityRef, links: dict[int | None, uuid.UUID]
) -> None:
    for number, one in enumerate(made.campaigns):
        days = {"from": str(one.first), "to": str(one.last)}
        body = {"project_id": client.project_id, "type": "ad", "title": str(number), **days}
        path = f"/v1/campaigns/{(await client.agency.post('/v1/campaigns', body))['id']}"
        invite = {"community_id": str(channel.community_id), "address": f"https://t.me/+Campaign{number}"}
        await client.agency.post(f"{path}/invite-links", invite)
        if number == 0:
            await client.agency.post(f"{path}/links", {"link_id": str(links[0])}, status=200)
        for day, kopecks in one.spend:
            row = {"day": str(day), "amount": f"{kopecks // 100}.{kopecks % 100:02}", "currency": "RUB"}
            await client.agency.post(f"{path}/spend", row)


async def _store_joins(client: Client, made: History, refs: list[CommunityRef]) -> None:
    """Before the sizes: these are compared with what is received by then."""
    for number, ref in enumerate(refs):
        members = [
            SeenMember(
                bytes([one.member]),
                one.at,
                joined=not one.left,
                invite_link=None if one.through is None else f"https://t.me/+Campaign{one.through}",
            )
            for one in made.joins
            if one.community == number
        ]
        await client.members(ref, members)


async def _store_clicks(agency: Agency, made: History, links: dict[int | None, uuid.UUID]) -> None:
    """In order, so that each repeat comes after what it repeats; in batches without any repeat."""
    batches: list[list[Visit]] = []
    seen: set[tuple[uuid.UUID, bytes]] = set()
    for click in sorted(made.clicks, key=lambda click: click.at):
        visitor = click.visitor.to_bytes(16, "big")
        visit = Visit(
            agency.workspace_id,
            links[click.link],
            click.at,
            made.day(click.at),
            visitor,
            "preview" if click.bot else None,
            None,
        )
        if not batches or (visit.link_id, visitor) in seen:
            batches.append([])
            seen = set()
        seen.add((visit.link_id, visitor))
        batches[-1].append(visit)
    for batch in batches:
        await recording.store(agency.resources.db, agency.workspace_id, batch)


def _end(first: date, granularity: str, last: date) -> date:
    """The last day of the part of a series that begins on `first`."""
    day = first
    while day < last:
        following = day + timedelta(days=1)
        if granularity == "day" or (granularity == "week" and following.weekday() == 0):
            break
        if granularity == "month" and following.day == 1:
            break
        day = following
    return day


def _check_answer(answer: dict[str, Any], made: History, communities: Communities, granularity: str) -> None:
    """Every value of an answer is as recounted."""
    key = answer["key"]
    all_of_them = [number for number in communities.values() if number is not None or key in OF_LINKS]
    if key in OF_PROJECT:
        all_of_them = [None]
    first, last = (date.fromisoformat(answer["window"][name]) for name in ("from", "to"))
    values = [(answer, all_of_them, first, last)]
    before = answer["previous"]
    values.append((before, all_of_them, *(date.fromisoformat(before[name]) for name in ("from", "to"))))
    parts = [(point, date.fromisoformat(point["from"])) for point in answer["series"]]
    assert [begin for _, begin in parts] == _begins(first, last, granularity)
    values += [(point, all_of_them, begin, _end(begin, granularity, last)) for point, begin in parts]
    values += [(line, [communities[line["community_id"]]], first, last) for line in answer["breakdown"]]
    assert len(answer["breakdown"]) == len(all_of_them)
    for value, of, begin, end in values:
        expected = recount(key, made, of, begin, end)
        where = f"{key} of {of} from {begin} to {end} in {made.zone}: {value}"
        assert value["value"] == (pytest.approx(expected, abs=1e-9) if expected is not None else None), where
        assert (value["value"] is None) == (value["status"] == "unknown"), where
        kpi = kpis.all_kpis()[key]
        assert value["value"] is None or kpi.least is None or value["value"] >= kpi.least, where
        assert value["value"] is None or kpi.most is None or value["value"] <= kpi.most, where
        compared = {name: one for name, one in value["variants"].items() if (key, name) in VARIANTS}
        for name, amount in compared.items():
            assert amount == recount(key, made, of, begin, end, name), (name, where)
    _check_parts(answer)


def _begins(first: date, last: date, granularity: str) -> list[date]:
    begins = [first]
    while (end := _end(begins[-1], granularity, last)) < last:
        begins.append(end + timedelta(days=1))
    return begins


def _check_parts(answer: dict[str, Any]) -> None:
    """Parts add up to the whole in a flow; the last one is the whole in a stock; in a ratio nothing is added."""
    known_values = [point["value"] for point in answer["series"] if point["value"] is not None]
    adds_up = kpis.all_kpis()[answer["key"]].adds_up
    if adds_up is AddsUp.FLOW:
        assert sum(known_values) == (answer["value"] or 0)
        assert sum(line["value"] or 0 for line in answer["breakdown"]) == (answer["value"] or 0)
    if adds_up is AddsUp.STOCK and answer["value"] is not None and answer["series"][-1]["value"] is not None:
        assert answer["series"][-1]["value"] == answer["value"]


async def _check(agency: Agency, seed: int, *, windows: int = 4, keys: frozenset[str] = frozenset()) -> set[str]:
    """Ask every KPI (of these) about a random history; the keys of those that had a value."""
    chance = random.Random(seed)
    made = history(chance)
    client, communities = await _stored(agency, made)
    had_value = set()
    for number in range(windows):
        first = made.today - timedelta(days=chance.randrange(LENGTH.days))
        last = first + timedelta(days=chance.choice((0, 1, 6, 13, 30, 44)))
        if number == 0:
            first, last = made.today - timedelta(days=44), made.today + timedelta(days=1)
        granularity = chance.choice(("day", "week", "month"))
        span: dict[str, Any] = {"from": str(first), "to": str(last), "granularity": granularity}
        for answer in (await client.agency.get(client.path, **span))["data"]:
            if not keys or answer["key"] in keys:
                _check_answer(answer, made, communities, granularity)
                if answer["value"] is not None:
                    had_value.add(answer["key"])
    return had_value


@settings(SETTINGS, max_examples=12)
@given(st.integers(min_value=0))
async def test_every_kpi_is_what_a_recount_of_the_raw_rows_gives(agency: Agency, seed: int) -> None:
    await _check(agency, seed)


@pytest.mark.long
@settings(SETTINGS, max_examples=150)
@given(st.integers(min_value=0))
async def test_every_kpi_is_what_a_recount_of_many_histories_gives(agency: Agency, seed: int) -> None:
    await _check(agency, seed)


@pytest.fixture
def plant() -> Iterator[Callable[[Kpi], None]]:
    """Make a KPI's values wrong by one."""
    right: dict[str, Callable[..., Value]] = {}

    def planted(kpi: Kpi) -> None:
        right[kpi.key] = kpi.value

        def wrong(*amounts: Any) -> Value:
            value = right[kpi.key](*amounts)
            return value if value.amount is None else value._replace(amount=value.amount + 1)

        object.__setattr__(kpi, "value", wrong)

    yield planted
    for key, value in right.items():
        object.__setattr__(kpis.all_kpis()[key], "value", value)


async def test_a_wrong_value_of_any_kpi_is_found(agency: Agency, plant: Callable[[Kpi], None]) -> None:
    assert await _check(agency, 3, windows=1) == set(kpis.all_kpis()), "control: every KPI has a value"
    for kpi in kpis.all_kpis().values():
        plant(kpi)
        with pytest.raises(AssertionError):
            await _check(agency, 3, windows=1, keys=frozenset({kpi.key}))


async def test_days_that_are_off_by_one_are_found(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = LoadRequest.windows

    def shifted(self: LoadRequest, *args: Any) -> list[Window]:
        return [one._replace(start=one.start - 1, stop=one.stop - 1) for one in plain(self, *args)]

    monkeypatch.setattr(LoadRequest, "windows", shifted)
    unnoticed = set(kpis.all_kpis())
    for seed in range(3, 7):
        for key in sorted(unnoticed):
            try:
                await _check(agency, seed, keys=frozenset({key}))
            except AssertionError:
                unnoticed.remove(key)
    assert not unnoticed
