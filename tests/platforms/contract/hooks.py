"""Webhooks: unverified requests are refused, verified ones have the same content as the lists."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from app.platforms.capabilities import Event, HookRequest, Receives, Streams, Subscribes
from app.platforms.contract import Malformed, MessageKind, MissingPermission, RemoteMessage
from sandbox.entities import Community
from sandbox.hooks import Delivery, Hook, Subscription
from sandbox.ledger import Record
from tests.platforms.calls import HOOK
from tests.platforms.contract.checks import check, has
from tests.platforms.contract.finding import remote_message, remote_post, second_of
from tests.platforms.contract.stage import Subject, recorded_at

UNREADABLE_BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"type": 1, "entry": 1, "update_id": "x"}',
)


@dataclass(slots=True)
class EventRecorder:
    """Records the requests that the sandbox would send to our webhook; nothing goes over a network."""

    s: Subject
    hook: Hook
    subscription: Subscription
    sent: list[tuple[Record, Delivery]] = field(default_factory=list)

    def follow(self, record: Record, community: Community) -> None:
        world = self.s.sandbox.network.world
        self.sent += [(record, one) for one in self.hook.events(world, self.subscription, community, record)]


def subscribe(s: Subject) -> EventRecorder:
    """Subscribe our webhook: events are recorded from now on."""
    network = s.sandbox.network
    hook = network.hooks.hook(s.community)
    assert hook is not None, "the sandbox sends no events for this platform"
    one = network.hooks.configure(s.community, HOOK, network.hooks.secret(s.community), origin="control")
    post = EventRecorder(s, hook, one)
    network.world.listeners.append(post.follow)
    return post


def _create_content(s: Subject) -> None:
    """Create a comment, and a message where the platform has any: some platforms send webhooks for messages only."""
    s.comment(s.post()["id"])
    if "message" in s.community.profile.activities:
        s.message()


def secrets(s: Subject) -> dict[str, str]:
    settings = s.about.hook_secrets(s.connection)
    return {name: settings[name] for name in s.spec.hook_secrets}


def call(s: Subject, one: Delivery, **changed: Any) -> HookRequest:
    """The request that delivers an event to our webhook, with changes of its fields."""
    request = HookRequest(one.body, httpx.Headers(dict(one.headers)), one.query, s.about.hook_source)
    return replace(request, **changed)


def receive(s: Subject, one: HookRequest, hook_secrets: Mapping[str, str]) -> tuple[str, tuple[Event, ...]]:
    assert issubclass(s.kind, Receives)
    got = s.kind.receive(one, hook_secrets)
    return got.response_body, got.events


@check("hooks: events match the lists", has(Receives))
async def match_lists(s: Subject) -> None:
    box = subscribe(s)
    post = s.post()
    made = [post, s.comment(post["id"]), s.comment(post["id"], "And when?", person=2)]
    made += [s.message()] if "message" in s.community.profile.activities else []
    made += [s.mention()] if "mention" in s.community.profile.activities else []
    sent = [(record, one) for record, one in box.sent if record in made]
    assert sent, "no event is sent"
    events_by_record: dict[str, list[Event]] = {}
    for record, one in sent:
        answer, events = receive(s, call(s, one), secrets(s))
        assert one.is_accepted(200, answer), "the platform would not accept the response"
        assert receive(s, call(s, one), secrets(s)) == (answer, events), "the same request is parsed differently"
        events_by_record.setdefault(record["id"], []).extend(events)
    all_of_them = [event for some in events_by_record.values() for event in some]
    account_ids = {event.account_id for event in all_of_them}
    assert account_ids <= {s.c.external_id, *s.c.aliases, None}, "an event of another community"
    named = [event.event_id for event in all_of_them if event.event_id is not None]
    assert len(set(named)) == len(named), "two events with the same id"
    if issubclass(s.kind, Streams):
        return  # the platform offers a stream or a webhook, not both at once
    for record in made:
        if record["id"] not in events_by_record or not events_by_record[record["id"]]:
            continue
        await _as_listed(s, record, events_by_record[record["id"]])


async def _as_listed(s: Subject, record: Record, events: list[Event]) -> None:
    if record["type"] == "post":
        posts = [one for event in events for one in event.posts]
        assert [one.external_id for one in posts] == [await remote_post(s, record["id"])], "another post"
        return
    messages = [
        one for event in events for one in event.messages if second_of(one) == int(recorded_at(record).timestamp())
    ]
    if not messages and MessageKind(record["type"]) in s.about.hinted_by_hooks:
        return
    assert messages, f"the event of a {record['type']} contains none"
    listed = await remote_message(s, record)
    for one in messages:
        assert _identity(one) == _identity(listed), "the webhook and the list return it differently"


def _identity(message: RemoteMessage) -> tuple[object, ...]:
    return (
        message.external_id, message.thread_id, message.kind, message.author.external_id,
        message.author.is_community, message.text, message.post_id,
    )  # fmt: skip


@check("hooks: a missing or wrong signature is refused", has(Receives))
async def forged(s: Subject) -> None:
    box = subscribe(s)
    _create_content(s)
    assert box.sent, "no event is sent"
    hook_secrets = secrets(s)
    assert hook_secrets, "the webhook has no secret"
    for _, one in box.sent:
        receive(s, call(s, one), hook_secrets)
        wrong: list[tuple[HookRequest, Mapping[str, str]]] = [
            (call(s, one), {name: f"{value}x"[::-1] for name, value in hook_secrets.items()}),
            (call(s, one), dict.fromkeys(hook_secrets, "")),
            (call(s, one), {}),
        ]
        if len(one.headers) > 1:
            wrong.append((call(s, one, headers={}), hook_secrets))
            spoilt = {name: value[:-1] + ("0" if value[-1] != "0" else "1") for name, value in one.headers.items()}
            wrong.append((call(s, one, headers=httpx.Headers(spoilt)), hook_secrets))
        if s.about.hook_signed:
            wrong.append((call(s, one, body=one.body + b" "), hook_secrets))
            wrong.append((call(s, one, body=one.body.replace(b"1", b"2", 1)), hook_secrets))
        if s.about.hook_source is not None:
            wrong += [(call(s, one, source=source), hook_secrets) for source in (None, "203.0.113.9", "")]
        for attempt, held in wrong:
            with pytest.raises(MissingPermission):
                receive(s, attempt, held)


@check("hooks: an unreadable body is reported", has(Receives))
async def unreadable(s: Subject) -> None:
    box = subscribe(s)
    _create_content(s)
    _, one = box.sent[0]
    for body in UNREADABLE_BODIES:
        try:
            _, events = receive(s, call(s, one, body=body), secrets(s))
        except (Malformed, MissingPermission):
            continue
        assert [event.unparsed is not None for event in events] == [True], "it is silently dropped"


@check("hooks: unparsed events are kept", has(Receives))
async def kept(s: Subject) -> None:
    assert issubclass(s.kind, Receives)
    box = subscribe(s)
    _create_content(s)
    for _, one in box.sent:
        received = receive(s, call(s, one), secrets(s))[1]
        assert s.kind.parse_event(one.body) == received, "the stored event is parsed differently"
    for body in UNREADABLE_BODIES:
        [event] = s.kind.parse_event(body) or [None]
        assert event is not None, "it is lost"
        assert event.unparsed is not None, "an unreadable body is parsed as an event"
        [again] = s.kind.parse_event(event.unparsed.payload.encode())
        assert again.unparsed is not None, "it is lost the second time"
        assert len(event.event_id or "") > len("unparsed-"), "without an id of its own a repeat is not recognised"
    names = {event.event_id for body in UNREADABLE_BODIES for event in s.kind.parse_event(body)}
    assert len(names) == len(UNREADABLE_BODIES), "two different bodies have the same id"


@check("hooks: the address is confirmed", lambda kind, _: issubclass(kind, Receives) and bool(kind.spec.hook_secrets))
async def confirmed(s: Subject) -> None:
    box = subscribe(s)
    if box.hook.confirmation is None:
        return
    confirmation = box.hook.confirmation(s.sandbox.network.world, box.subscription, s.community)
    answer, _ = receive(s, call(s, confirmation), {**secrets(s), "confirmation": box.subscription.verify})
    assert confirmation.is_accepted(200, answer), "the platform does not accept the response"


@check("hooks: subscribed, and queried", has(Subscribes))
async def set_(s: Subject) -> None:
    made = s.adapter()
    assert isinstance(made, Subscribes)
    assert not (await made.subscription(s.c, HOOK)).subscribed, "subscribed before `subscribe`"
    await made.subscribe(s.c, HOOK, secrets(s))
    await made.subscribe(s.c, HOOK, secrets(s))
    assert (await made.subscription(s.c, HOOK)).subscribed, "not subscribed after `subscribe`"
    assert not (await made.subscription(s.c, f"{HOOK}/other")).subscribed, "subscribed at another address"
