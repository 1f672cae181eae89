"""An answer that is another one in another language says so: `Vary`, and an ETag of its own."""

import uuid
from datetime import timedelta
from typing import Any, Final

import httpx
from fastapi import FastAPI

from app.communities.events import CommunityRef, MessagesSeen
from app.kit.events import publish
from app.platforms.contract import Attachment, AttachmentKind, MessageKind, RemoteMessage, RemotePerson
from tests.conftest import Agency
from tests.house.conftest import Stock, sample, stock

IN_BOTH: Final = {"client-links.open", "inquiries.deadlines", "inquiries.list", "inquiries.read", "links.follow"}
"""Operations that are known to differ: the control, without which a test that compares nothing would pass."""
OF_THE_MOMENT: Final = {"operations.metrics"}
"""Operations whose answer is another one each time."""


async def picture_arrives(agency: Agency, stocked: Stock) -> str:
    """A customer sends a picture without a word, of which a preview says what it is; the inquiry's id."""
    place = CommunityRef(
        agency.workspace_id,
        uuid.UUID(stocked.ids["project_id"]),
        uuid.UUID(stocked.ids["community_id"]),
        "mastodon",
        "Europe/Minsk",
    )
    message = RemoteMessage(
        external_id="2",
        thread_id="with-olga",
        kind=MessageKind.MESSAGE,
        author=RemotePerson("8", "Olga"),
        text="",
        sent_at=agency.resources.clock.now() - timedelta(minutes=5),
        attachments=(Attachment(AttachmentKind.PICTURE),),
    )
    async with agency.resources.transaction(agency.workspace_id) as session:
        await publish(session, MessagesSeen(place, ((message, None),)))
    listed = (await agency.get("/v1/inquiries"))["data"]
    return str(next(one["id"] for one in listed if one["customer"]["name"] == "Olga"))


def reads(document: dict[str, Any], ids: dict[str, str]) -> list[tuple[str, str]]:
    """Each GET operation's id and a path of it, with the query parameters that it needs."""
    paths = []
    for template, item in document["paths"].items():
        if "get" not in item:
            continue
        path, query = template, {}
        for parameter in item["get"].get("parameters", []):
            if parameter["in"] == "path":
                value = ids.get(parameter["name"]) or sample(document, parameter["schema"], ids, parameter["name"])
                path = path.replace(f"{{{parameter['name']}}}", str(value))
            elif parameter["in"] == "query" and parameter.get("required"):
                query[parameter["name"]] = sample(document, parameter["schema"], ids, parameter["name"])
        paths.append((item["get"]["operationId"], str(httpx.URL(path, params=query or None))))
    return paths


def content(answer: httpx.Response) -> bytes:
    """The body, without the request's id, which a problem has."""
    return answer.content.replace(answer.headers["x-request-id"].encode(), b"")


async def test_what_differs_between_languages_varies(app: FastAPI, agency: Agency) -> None:
    stocked = await stock(agency)
    ids = {**stocked.ids, "inquiry_id": await picture_arrives(agency, stocked), "slug": "nothing-here"}
    wrong, differing, moving = [], set(), set()
    for operation, path in reads(app.openapi(), ids):

        async def ask(language: str, path: str = path, **headers: str) -> httpx.Response:
            return await agency.http.get(path, headers={"Accept-Language": language, **headers})

        english, again, russian = await ask("en"), await ask("en"), await ask("ru")
        if content(english) != content(again):
            moving.add(operation)
            continue
        if content(english) == content(russian):
            continue
        differing.add(operation)
        varied = {part.strip().lower() for part in english.headers.get("vary", "").split(",")}
        if "accept-language" not in varied:
            wrong.append(f"{operation}: no Vary")
        if english.status_code != 200:
            continue
        tag = english.headers["etag"]
        if tag == russian.headers["etag"]:
            wrong.append(f"{operation}: one ETag for both")
        if (await ask("ru", **{"If-None-Match": tag})).status_code != 200:
            wrong.append(f"{operation}: the Russian answer counts as unchanged")
        unchanged = await ask("en", **{"If-None-Match": tag})
        if unchanged.status_code != 304 or "accept-language" not in unchanged.headers.get("vary", "").lower():
            wrong.append(f"{operation}: {unchanged.status_code}, Vary {unchanged.headers.get('vary')}")
    assert wrong == []
    assert moving <= OF_THE_MOMENT
    assert differing == IN_BOTH
