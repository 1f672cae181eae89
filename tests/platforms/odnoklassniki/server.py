"""A fake of Odnoklassniki's API with prepared responses."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qsl

import httpx

from app.platforms.contract import (
    Credentials,
    RemotePerson,
    Token,
)
from app.platforms.odnoklassniki.adapter import Odnoklassniki

GROUP: Final = "57000000000077"


TOKENS: Final = {Token.USER: "-s-user", Token.COMMUNITY: "tkn-group", Token.REFRESH: "ref"}


APP: Final = {"application_id": "512", "application_key": "CBAKEY", "application_secret": "SECRET"}


C: Final = Credentials(f"https://ok.ru/group/{GROUP}", "https://api.example", GROUP, TOKENS, APP)


DAY: Final = 24 * 3600 * 1000


CUSTOMER: Final = RemotePerson("5", "A Customer")


MESSAGE: Final = {
    "sender": {"user_id": "user:123456789012", "name": "A Customer"},
    "recipient": {"chat_id": "chat:C3ecb9d02a600"},
    "message": {"text": "text", "seq": 98211023614189660, "mid": "mid:C3ecb9d02a600.15cea67d78d2059"},
    "timestamp": 1498581292941,
}


class FakeOdnoklassniki:
    """A fake API server that returns a prepared response per method, or the next of an iterator, and records calls."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        form = dict(parse_qsl(request.content.decode())) if request.url.path == "/fb.do" else {}
        name = form.get("method") or request.url.path
        self.calls.append((name, form))
        answer = self.answers[name]
        return httpx.Response(200, json=next(answer) if isinstance(answer, Iterator) else answer)

    def adapter(self) -> Odnoklassniki:
        return Odnoklassniki(httpx.AsyncClient(transport=httpx.MockTransport(self)))


def error_response(code: int) -> object:
    return {"error_code": code, "error_msg": "x"}


def topic(number: int, **more: object) -> dict[str, object]:
    return {"id": str(number), "created_ms": number * DAY, "like_summary": {"count": number}} | more
