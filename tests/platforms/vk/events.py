"""Events as VK's Callback API sends them, and what the adapter makes of them."""

import json
from collections.abc import Mapping
from typing import Any

from app.platforms.capabilities import Event, HookRequest, HookResult
from app.platforms.vk.adapter import Vk
from tests.platforms.vk.server import GROUP

SECRETS = {"secret": "shared secret", "confirmation": "a1b2c3"}


def receive(event: Mapping[str, Any], secrets: Mapping[str, str] = SECRETS) -> HookResult:
    return Vk.receive(HookRequest(json.dumps(event).encode(), {}, {}), secrets)


def only_event(event: Mapping[str, Any]) -> Event:
    (only,) = receive(event).events
    return only


def event(kind: str, subject: Mapping[str, Any] | None, **changes: object) -> dict[str, Any]:
    return {
        "type": kind,
        "group_id": GROUP,
        "event_id": "e1",
        "v": "5.199",
        "secret": "shared secret",
        "object": subject,
        **changes,
    }
