"""Updates in the Bot API's format, and a fake Bot API server that returns prepared responses."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from app.platforms.capabilities import Event, HookRequest
from app.platforms.contract import (
    Credentials,
    RemoteMessage,
    Token,
)
from app.platforms.telegram.adapter import SECRET_HEADER, Telegram

Json = Any

CHANNEL: Json = {"id": -1001000000077, "type": "channel", "title": "Coffee", "username": "coffee"}
GROUP: Json = {"id": -1002000000077, "type": "supergroup", "title": "Coffee talk"}
ANN: Json = {"id": 5, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "username": "ann"}
BEN: Json = {"id": 6, "is_bot": False, "first_name": "Ben"}
CHANNEL_BOT: Json = {"id": 136817688, "is_bot": True, "first_name": "Channel"}
DATE = 1_795_413_600
TOKEN = "7000000077:AAbot-secret_1234567890123456789012"
C = Credentials(
    "https://t.me/coffee", "https://api.telegram.org", str(CHANNEL["id"]), {Token.COMMUNITY: TOKEN},
    aliases=frozenset({str(GROUP["id"]), "7000000077"}),
)  # fmt: skip
"""Credentials of the channel, its discussion group and its bot."""


def message(number: int, chat: Json, **more: Json) -> Json:
    return {"message_id": number, "date": DATE + number, "chat": chat, **more}


def channel_post(number: int, **more: Json) -> Json:
    return message(number, CHANNEL, sender_chat=CHANNEL, **more)


def auto_forward(number: int, post: int) -> Json:
    """The copy of a channel's post that Telegram forwards to the discussion group."""
    origin = {"type": "channel", "date": DATE, "chat": CHANNEL, "message_id": post}
    return message(number, GROUP, sender_chat=CHANNEL, text="post", is_automatic_forward=True, forward_origin=origin)


def group_comment(number: int, sender: Json = ANN, **more: Json) -> Json:
    return message(number, GROUP, **{"from": sender, "text": "Until when?", **more})


@dataclass
class FakeBotApi:
    """A fake Bot API server that returns its prepared responses in turn and records the requests."""

    answers: list[Json]

    def __post_init__(self) -> None:
        self.params: list[Json] = []
        self.requests: list[httpx.Request] = []

    def adapter(self) -> Telegram:
        return Telegram(httpx.AsyncClient(transport=httpx.MockTransport(self)))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.params.append(json.loads(request.content) if request.content.startswith(b"{") else {})
        answer = self.answers.pop(0)
        if answer.get("ok"):
            return httpx.Response(200, json=answer)
        return httpx.Response(answer["error_code"], json=answer)


def ok_response(result: Json) -> Json:
    return {"ok": True, "result": result}


def error_response(code: int, description: str, **parameters: int) -> Json:
    return {"ok": False, "error_code": code, "description": description, "parameters": parameters}


async def stream_events(*updates: Json, c: Credentials = C, cursor: str | None = None) -> list[Event]:
    """The events that the adapter reads from `getUpdates`, the updates numbered from 1."""
    numbered = [{"update_id": number, **update} for number, update in enumerate(updates, 1)]
    page = await FakeBotApi([ok_response(numbered)]).adapter().updates(c, cursor)
    return list(page.items)


async def streamed_message(raw: Json, kind: str = "message", c: Credentials = C) -> RemoteMessage:
    [event] = await stream_events({kind: raw}, c=c)
    [message] = event.messages
    return message


def webhook_events(update: Json) -> tuple[Event, ...]:
    call = HookRequest(json.dumps({"update_id": 9, **update}).encode(), {SECRET_HEADER: "sesame"}, {})
    return Telegram.receive(call, {"secret": "sesame"}).events


def album_part(number: int, caption: str = "", album: str = "a") -> Json:
    more = {"caption": caption} if caption else {}
    return {"channel_post": channel_post(number, photo=[{}], media_group_id=album, **more)}
