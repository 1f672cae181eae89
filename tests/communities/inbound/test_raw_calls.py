"""Signed calls over HTTP: the signature is checked over the raw bytes."""

import gzip
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from sqlalchemy import text

from app.communities.inbound import store
from tests.communities.conftest import START
from tests.conftest import Agency

SECRET, WORD, PAGE = "the-apps-secret", "the-agreed-word", "777"
HEADER = "X-Hub-Signature-256"


def message_event(text: str = "Hello?", mid: str = "m_1", written_at: int | str | None = None) -> bytes:
    """The body of a Meta event with a customer's message."""
    at = round(START.timestamp() * 1000)
    message = {
        "sender": {"id": "5"},
        "recipient": {"id": PAGE},
        "timestamp": at if written_at is None else written_at,
        "message": {"mid": mid, "text": text},
    }
    return orjson.dumps({"object": "page", "entry": [{"id": PAGE, "time": at, "messaging": [message]}]})


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@dataclass
class HookClient:
    """A client of a Page's open hook."""

    agency: Agency
    stranger: httpx.AsyncClient
    path: str

    async def call(self, body: bytes, *signed: str) -> tuple[int, str]:
        """The status, and the text or code, of a call with these signature headers."""
        headers = [(HEADER.encode(), one.encode("latin-1")) for one in signed]
        return self._read(await self.stranger.post(self.path, content=body, headers=headers))

    async def get_challenge(self, query: str) -> tuple[int, str]:
        """The same for a GET."""
        return self._read(await self.stranger.get(f"{self.path}?{query}"))

    @staticmethod
    def _read(answer: httpx.Response) -> tuple[int, str]:
        assert SECRET not in answer.text
        assert WORD not in answer.text
        if answer.status_code == 200:
            assert answer.headers["content-type"].startswith("text/plain")
            return 200, answer.text
        return answer.status_code, answer.json()["code"]

    async def messages(self) -> list[str]:
        """The texts of stored messages, after the events are applied."""
        await self.agency.work(store.APPLY)
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            return list(await session.scalars(text("SELECT text FROM message ORDER BY external_id")))

    async def kept(self) -> int:
        """The number of unparsed events."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            query = text("SELECT count(*) FROM inbound_event WHERE status = 'unparsed'")
            return int(await session.scalar(query) or 0)


@pytest.fixture
async def hook_client(agency: Agency, stranger: httpx.AsyncClient, project_id: str) -> HookClient:
    """The hook of a polled Page."""
    body = {"project_id": project_id, "platform": "facebook", "address": "https://www.facebook.com/coffee"}
    made = await agency.post("/v1/communities", {**body, "credentials": {"community": "EAA-x"}})
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(text("UPDATE community SET external_id = :id"), {"id": PAGE})
    secrets = {"secrets": {"app_secret": SECRET, "verify_token": WORD}}
    hook = await agency.put(f"/v1/communities/{made['id']}/hook", secrets)
    return HookClient(agency, stranger, urlsplit(hook["url"]).path)


TAKEN, UNVERIFIED, MALFORMED = (200, "EVENT_RECEIVED"), (403, "hook-not-verified"), (422, "hook-not-understood")

RIGHT = signature(message_event())
SIGNED = {
    "right": ([f"sha256={RIGHT}"], TAKEN),
    "none": ([], UNVERIFIED),
    "empty": ([""], UNVERIFIED),
    "no value": (["sha256="], UNVERIFIED),
    "bare": ([RIGHT], UNVERIFIED),
    "in capitals": ([f"sha256={RIGHT.upper()}"], UNVERIFIED),
    "its name in capitals": ([f"SHA256={RIGHT}"], UNVERIFIED),
    "another algorithm": ([f"sha1={hmac.new(SECRET.encode(), message_event(), hashlib.sha1).hexdigest()}"], UNVERIFIED),
    "another algorithm's name": ([f"sha512={RIGHT}"], UNVERIFIED),
    "with an empty secret": ([f"sha256={signature(message_event(), '')}"], UNVERIFIED),
    "one letter off": ([f"sha256={RIGHT[:-1]}{'0' if RIGHT[-1] != '0' else '1'}"], UNVERIFIED),
    "cut short": ([f"sha256={RIGHT[:-1]}"], UNVERIFIED),
    "no ASCII": (["sha256=\xff\xfe"], UNVERIFIED),
    "a wrong one first": (["sha256=0", f"sha256={RIGHT}"], UNVERIFIED),
    "two in one": ([f"sha256=0, sha256={RIGHT}"], UNVERIFIED),
}


@pytest.mark.parametrize("name", SIGNED)
async def test_signatures(hook_client: HookClient, name: str) -> None:
    signed, answer = SIGNED[name]
    assert await hook_client.call(message_event(), *signed) == answer
    assert await hook_client.messages() == (["Hello?"] if answer == TAKEN else [])


ENDS = ("9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", 253_402_300_799_999, 7_258_118_400)


@pytest.mark.parametrize("end", ENDS)
async def test_a_moment_at_the_end_of_the_calendar_spoils_no_list(hook_client: HookClient, end: int | str) -> None:
    """It is stored as unparsed; the events beside it are applied."""
    for body in (message_event("Whenever?", "m_0", end), message_event()):
        assert await hook_client.call(body, f"sha256={signature(body)}") == TAKEN
    assert await hook_client.messages() == ["Hello?"]
    assert await hook_client.kept() == 1
    (inquiry,) = (await hook_client.agency.get("/v1/inquiries"))["data"]
    assert inquiry["opened_at"] == f"{START:%FT%TZ}"


DEEP = b'{"object":"page","entry":[{"id":"777","time":1,"changes":[{"field":"feed","value":%s}]}]}'
BODIES: dict[str, tuple[bytes, tuple[int, str], list[str] | None]] = {
    # None: it cannot be parsed. Meta has signed it: refusing it would only have it sent again.
    "white space behind": (message_event() + b"\r\n \n", TAKEN, ["Hello?"]),
    "a NUL within": (message_event("Hel\0lo?"), TAKEN, ["Hello?"]),
    "the last of two keys counts": (b'{"object":"user",' + message_event()[1:], TAKEN, ["Hello?"]),
    "another object": (message_event().replace(b'"page"', b'"user"'), TAKEN, []),
    "numbers without end": (DEEP % (b'{"x":' + b"9" * 6_000 + b"}"), TAKEN, None),
    "no number": (DEEP % b'{"x":NaN,"y":1e999}', TAKEN, None),
    "nested deeply": (DEEP % (b'{"a":' * 10_000 + b"1" + b"}" * 10_000), TAKEN, None),
    "lists in lists": (b"[" * 100_000, TAKEN, None),
    "a mark of byte order": (b"\xef\xbb\xbf" + message_event(), TAKEN, None),
    "another charset": (message_event("Привет").decode().encode("utf-16"), TAKEN, None),
    "bytes that are no text": (message_event("Hell?").replace(b"Hell", b"H\xe9ll"), TAKEN, None),
    "half a character": (message_event().replace(b"Hello", b"\\ud83d"), TAKEN, None),
    "a NUL behind": (message_event() + b"\0", TAKEN, None),
    "something behind": (message_event() + b"{}", TAKEN, None),
    "half of it": (message_event()[:-20], TAKEN, None),
    "packed": (gzip.compress(message_event()), TAKEN, None),
    "nothing": (b"", TAKEN, None),
    "null": (b"null", TAKEN, None),
    "a megabyte": (message_event("x" * 2**20), (413, "body-too-large"), []),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies(hook_client: HookClient, name: str) -> None:
    """Each body has a valid signature."""
    body, expected, messages = BODIES[name]
    answer = await hook_client.call(body, f"sha256={signature(body)}")
    assert answer == expected
    assert await hook_client.messages() == (messages or [])
    assert await hook_client.kept() == (messages is None)
    assert await hook_client.call(message_event(mid="m_2"), f"sha256={signature(message_event(mid='m_2'))}") == TAKEN, (
        "the next one is taken"
    )


async def test_a_body_in_pieces_is_one(hook_client: HookClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(message_event()), 7):
            yield message_event()[at : at + 7]

    signed = {HEADER: f"sha256={RIGHT}"}
    answer = await hook_client.stranger.post(hook_client.path, content=pieces(), headers=signed)
    assert "content-length" not in answer.request.headers
    assert (answer.status_code, answer.text) == TAKEN
    packed = gzip.compress(message_event())
    signed = {HEADER: f"sha256={RIGHT}", "Content-Encoding": "gzip"}
    assert (await hook_client.stranger.post(hook_client.path, content=packed, headers=signed)).status_code == 403
    assert await hook_client.messages() == ["Hello?"]


CHALLENGES = {
    f"hub.mode=subscribe&hub.verify_token={WORD}&hub.challenge=1158201444": (200, "1158201444"),
    f"hub.mode=subscribe&hub.verify_token={WORD}x&hub.challenge=1": UNVERIFIED,
    f"hub.mode=subscribe&hub.verify_token={WORD.upper()}&hub.challenge=1": UNVERIFIED,
    "hub.mode=subscribe&hub.verify_token=&hub.challenge=1": UNVERIFIED,
    "hub.mode=subscribe&hub.challenge=1": UNVERIFIED,
    "hub.mode=%ff&hub.verify_token=%00&hub.challenge=1": UNVERIFIED,
    f"hub.mode=subscribe&hub.verify_token={WORD}": MALFORMED,
    f"hub.mode=subscribe&hub.verify_token={WORD}&hub.challenge=<script>": MALFORMED,
    f"hub.mode=subscribe&hub.verify_token={WORD}&hub.challenge=1%00": MALFORMED,
    f"hub.mode=subscribe&hub.verify_token={WORD}&hub.challenge={'1' * 5_000}": MALFORMED,
    f"hub.verify_token={WORD}&hub.challenge=1": UNVERIFIED,
    "": UNVERIFIED,
    f"{'a' * 60_000}": UNVERIFIED,
}


@pytest.mark.parametrize("query", CHALLENGES, ids=[str(number) for number in range(len(CHALLENGES))])
async def test_questions(hook_client: HookClient, query: str) -> None:
    assert await hook_client.get_challenge(query) == CHALLENGES[query]
