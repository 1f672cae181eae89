"""Signed calls as they come over HTTP: what counts are the raw bytes."""

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


def said(words: str = "Hello?", mid: str = "m_1", written_at: int | str | None = None) -> bytes:
    """A customer's message, as Meta tells it."""
    at = round(START.timestamp() * 1000)
    message = {
        "sender": {"id": "5"},
        "recipient": {"id": PAGE},
        "timestamp": at if written_at is None else written_at,
        "message": {"mid": mid, "text": words},
    }
    return orjson.dumps({"object": "page", "entry": [{"id": PAGE, "time": at, "messaging": [message]}]})


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@dataclass
class Line:
    """A Page's open hook."""

    agency: Agency
    stranger: httpx.AsyncClient
    path: str

    async def call(self, body: bytes, *signed: str) -> tuple[int, str]:
        """Status, and text or code, of a call with these signature headers."""
        headers = [(HEADER.encode(), one.encode("latin-1")) for one in signed]
        return self._read(await self.stranger.post(self.path, content=body, headers=headers))

    async def ask(self, query: str) -> tuple[int, str]:
        """The same of a GET."""
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
        """What is known to have been said, once a worker was there."""
        await self.agency.work(store.APPLY)
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            return list(await session.scalars(text("SELECT text FROM message ORDER BY external_id")))

    async def kept(self) -> int:
        """How much is kept that is not understood."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            query = text("SELECT count(*) FROM inbound_event WHERE status = 'unparsed'")
            return int(await session.scalar(query) or 0)


@pytest.fixture
async def line(agency: Agency, stranger: httpx.AsyncClient, project_id: str) -> Line:
    """It was opened, and the Page was looked at."""
    body = {"project_id": project_id, "platform": "facebook", "address": "https://www.facebook.com/coffee"}
    made = await agency.post("/v1/communities", {**body, "credentials": {"community": "EAA-x"}})
    async with agency.resources.transaction(agency.workspace_id) as session:
        await session.execute(text("UPDATE community SET external_id = :id"), {"id": PAGE})
    given = {"secrets": {"app_secret": SECRET, "verify_token": WORD}}
    hook = await agency.put(f"/v1/communities/{made['id']}/hook", given)
    return Line(agency, stranger, urlsplit(hook["url"]).path)


TAKEN, UNVERIFIED, ODD = (200, "EVENT_RECEIVED"), (403, "hook-not-verified"), (422, "hook-not-understood")

RIGHT = signature(said())
SIGNED = {
    "right": ([f"sha256={RIGHT}"], TAKEN),
    "none": ([], UNVERIFIED),
    "empty": ([""], UNVERIFIED),
    "no value": (["sha256="], UNVERIFIED),
    "bare": ([RIGHT], UNVERIFIED),
    "in capitals": ([f"sha256={RIGHT.upper()}"], UNVERIFIED),
    "its name in capitals": ([f"SHA256={RIGHT}"], UNVERIFIED),
    "another algorithm": ([f"sha1={hmac.new(SECRET.encode(), said(), hashlib.sha1).hexdigest()}"], UNVERIFIED),
    "another algorithm's name": ([f"sha512={RIGHT}"], UNVERIFIED),
    "with an empty secret": ([f"sha256={signature(said(), '')}"], UNVERIFIED),
    "one letter off": ([f"sha256={RIGHT[:-1]}{'0' if RIGHT[-1] != '0' else '1'}"], UNVERIFIED),
    "cut short": ([f"sha256={RIGHT[:-1]}"], UNVERIFIED),
    "no ASCII": (["sha256=\xff\xfe"], UNVERIFIED),
    "a wrong one first": (["sha256=0", f"sha256={RIGHT}"], UNVERIFIED),
    "two in one": ([f"sha256=0, sha256={RIGHT}"], UNVERIFIED),
}


@pytest.mark.parametrize("name", SIGNED)
async def test_signatures(line: Line, name: str) -> None:
    signed, answer = SIGNED[name]
    assert await line.call(said(), *signed) == answer
    assert await line.messages() == (["Hello?"] if answer == TAKEN else [])


ENDS = ("9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", 253_402_300_799_999, 7_258_118_400)


@pytest.mark.parametrize("end", ENDS)
async def test_a_moment_at_the_end_of_the_calendar_spoils_no_list(line: Line, end: int | str) -> None:
    """It is kept, as what is not understood; what is said beside it is known."""
    for body in (said("Whenever?", "m_0", end), said()):
        assert await line.call(body, f"sha256={signature(body)}") == TAKEN
    assert await line.messages() == ["Hello?"]
    assert await line.kept() == 1
    (inquiry,) = (await line.agency.get("/v1/inquiries"))["data"]
    assert inquiry["opened_at"] == f"{START:%FT%T.%fZ}"


DEEP = b'{"object":"page","entry":[{"id":"777","time":1,"changes":[{"field":"feed","value":%s}]}]}'
BODIES: dict[str, tuple[bytes, tuple[int, str], list[str] | None]] = {
    # None: nothing is understood. Meta has signed it: to be sent it again would not help.
    "white space behind": (said() + b"\r\n \n", TAKEN, ["Hello?"]),
    "a NUL within": (said("Hel\0lo?"), TAKEN, ["Hello?"]),
    "the last of two keys counts": (b'{"object":"user",' + said()[1:], TAKEN, ["Hello?"]),
    "another object": (said().replace(b'"page"', b'"user"'), TAKEN, []),
    "numbers without end": (DEEP % (b'{"x":' + b"9" * 6_000 + b"}"), TAKEN, None),
    "no number": (DEEP % b'{"x":NaN,"y":1e999}', TAKEN, None),
    "nested deeply": (DEEP % (b'{"a":' * 10_000 + b"1" + b"}" * 10_000), TAKEN, None),
    "lists in lists": (b"[" * 100_000, TAKEN, None),
    "a mark of byte order": (b"\xef\xbb\xbf" + said(), TAKEN, None),
    "another charset": (said("Привет").decode().encode("utf-16"), TAKEN, None),
    "bytes that are no text": (said("Hell?").replace(b"Hell", b"H\xe9ll"), TAKEN, None),
    "half a character": (said().replace(b"Hello", b"\\ud83d"), TAKEN, None),
    "a NUL behind": (said() + b"\0", TAKEN, None),
    "something behind": (said() + b"{}", TAKEN, None),
    "half of it": (said()[:-20], TAKEN, None),
    "packed": (gzip.compress(said()), TAKEN, None),
    "nothing": (b"", TAKEN, None),
    "null": (b"null", TAKEN, None),
    "a megabyte": (said("x" * 2**20), (413, "body-too-large"), []),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies(line: Line, name: str) -> None:
    """Each of them signed as it is."""
    body, expected, known = BODIES[name]
    answer = await line.call(body, f"sha256={signature(body)}")
    assert answer == expected
    assert await line.messages() == (known or [])
    assert await line.kept() == (known is None)
    assert await line.call(said(mid="m_2"), f"sha256={signature(said(mid='m_2'))}") == TAKEN, "the next one is taken"


async def test_a_body_in_pieces_is_one(line: Line) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(said()), 7):
            yield said()[at : at + 7]

    signed = {HEADER: f"sha256={RIGHT}"}
    answer = await line.stranger.post(line.path, content=pieces(), headers=signed)
    assert "content-length" not in answer.request.headers
    assert (answer.status_code, answer.text) == TAKEN
    packed = gzip.compress(said())
    signed = {HEADER: f"sha256={RIGHT}", "Content-Encoding": "gzip"}
    assert (await line.stranger.post(line.path, content=packed, headers=signed)).status_code == 403
    assert await line.messages() == ["Hello?"]


ASKED = {
    f"hub.mode=subscribe&hub.verify_token={WORD}&hub.challenge=1158201444": (200, "1158201444"),
    f"hub.mode=subscribe&hub.verify_token={WORD}x&hub.challenge=1": UNVERIFIED,
    f"hub.mode=subscribe&hub.verify_token={WORD.upper()}&hub.challenge=1": UNVERIFIED,
    "hub.mode=subscribe&hub.verify_token=&hub.challenge=1": UNVERIFIED,
    "hub.mode=subscribe&hub.challenge=1": UNVERIFIED,
    "hub.mode=%ff&hub.verify_token=%00&hub.challenge=1": UNVERIFIED,
    f"hub.mode=subscribe&hub.verify_token={WORD}": ODD,
    f"hub.mode=subscribe&hub.verify_token={WORD}&hub.challenge=<script>": ODD,
    f"hub.mode=subscribe&hub.verify_token={WORD}&hub.challenge=1%00": ODD,
    f"hub.mode=subscribe&hub.verify_token={WORD}&hub.challenge={'1' * 5_000}": ODD,
    f"hub.verify_token={WORD}&hub.challenge=1": UNVERIFIED,
    "": UNVERIFIED,
    f"{'a' * 60_000}": UNVERIFIED,
}


@pytest.mark.parametrize("query", ASKED, ids=[str(number) for number in range(len(ASKED))])
async def test_questions(line: Line, query: str) -> None:
    assert await line.ask(query) == ASKED[query]
