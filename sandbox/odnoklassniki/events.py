"""The webhook event of a ledger record: customers' messages, unsigned, acknowledged by a 200."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from sandbox.entities import Community
from sandbox.hooks import Delivery, Hook, Subscription
from sandbox.ledger import Record
from sandbox.odnoklassniki import ids, wire_models
from sandbox.world import World

SOURCES: Final = "127.0.0.0/8,::1/128"
"""The addresses the sandbox calls from."""


def _events(_: World, __: Subscription, c: Community, record: Record) -> Iterable[Delivery]:
    if record["type"] != "message":
        return ()
    entry = c.mail[int(record["id"])]
    body = {"webhookType": "MESSAGE_CREATED", **wire_models.message(c, entry)}
    return (
        Delivery(
            name=ids.message(c, entry), kind="MESSAGE_CREATED", body=orjson.dumps(body),
            headers={"Content-Type": "application/json;charset=utf-8"}, is_accepted=lambda status, _: status == 200,
        ),
    )  # fmt: skip


def _details(_: World, __: Community) -> Mapping[str, object]:
    return {"sources": SOURCES}


HOOK: Final = Hook(events=_events, control_info=_details)
