"""Faults in the handling of webhooks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import orjson

from app.platforms.capabilities import Event, HookRequest, HookResult, HookState, unparsed_event
from app.platforms.contract import Credentials
from app.platforms.telegram.adapter import Telegram
from app.platforms.vk.adapter import Vk
from tests.platforms.contract.planted import Planted


class IgnoresSecret(Vk):
    """The secret is not checked."""

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        secret = orjson.loads(call.body).get("secret", "")
        return super().receive(call, {**secrets, "secret": secret})


class DropsMessages(Vk):
    """Events are acknowledged without their messages."""

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        got = super().receive(call, secrets)
        return replace(got, events=tuple(replace(event, messages=()) for event in got.events))


class OtherThread(Vk):
    """A comment from a webhook has another thread than in lists."""

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        got = super().receive(call, secrets)
        return replace(
            got,
            events=tuple(
                replace(event, messages=tuple(replace(one, thread_id=one.external_id) for one in event.messages))
                for event in got.events
            ),
        )


class AcceptsUnparsed(Vk):
    """An unparsed request is accepted without an event."""

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        if not call.body.startswith(b'{"group_id"'):
            return HookResult("ok")
        return super().receive(call, secrets)


class DropsUnparsed(Vk):
    """Unparsed events are dropped."""

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        return tuple(event for event in super().parse_event(payload) if event.unparsed is None)


class ReplacesPayload(Vk):
    """The stored payload of an unparsed event is replaced by that of a valid one."""

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        less = b'{"type": "group_change_settings", "group_id": 1, "event_id": "e", "object": {}}'
        return tuple(
            event if event.unparsed is None else unparsed_event(less, event.unparsed.why)
            for event in super().parse_event(payload)
        )


class Unconfirmed(Vk):
    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        return replace(super().receive(call, secrets), response_body="ok")


class AlwaysSubscribed(Telegram):
    """A webhook at any address counts as ours."""

    async def subscription(self, c: Credentials, url: str) -> HookState:
        return replace(await super().subscription(c, url), subscribed=True)


PLANTED: Final[tuple[Planted, ...]] = (
    ("hooks: a missing or wrong signature is refused", IgnoresSecret, "DID NOT RAISE"),
    ("hooks: events match the lists", DropsMessages, "contains none"),
    ("hooks: events match the lists", OtherThread, "differently"),
    ("hooks: an unreadable body is reported", AcceptsUnparsed, "silently dropped"),
    ("hooks: unparsed events are kept", DropsUnparsed, "it is lost"),
    ("hooks: unparsed events are kept", ReplacesPayload, "lost the second time"),
    ("hooks: the address is confirmed", Unconfirmed, "does not accept"),
    ("hooks: subscribed, and queried", AlwaysSubscribed, "subscribed before"),
)
