"""Client links: what contacts read and state behind them, over HTTP."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from structlog.testing import capture_logs

from app.clients.models import ClientStatement, Purpose
from app.clients.subjects import SubjectView, content_hash, subjects
from app.kit.clock import SetClock
from app.kit.events import EventRecord
from tests.conftest import Agency
from tests.contacts.conftest import BRIEF, Setup, hash_of, path_of
from tests.forms import forms
from tests.links.agents import BOTS


async def agree(
    program: httpx.AsyncClient, path: str, answer: str = "agree", text: str | None = None, seen: str | None = None
) -> httpx.Response:
    """State something about what the link shows now."""
    if seen is None:
        seen = (await program.get(path)).json()["content_hash"]
    body = {"answer": answer, "content_hash": seen, "text": text}
    return await program.post(f"{path}/statements", json=body)


async def topics(agency: Agency) -> list[str]:
    """The topics of the agency's events about clients."""
    query = select(EventRecord.topic).where(EventRecord.topic.like("client%")).order_by(EventRecord.id)
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return list((await connection.scalars(query)).all())


async def test_a_link_is_made_listed_and_its_token_is_nowhere(agency: Agency, setup: Setup) -> None:
    made = await setup.link()
    assert (made["status"], made["opens"], made["first_opened_at"]) == ("active", 0, None)
    assert made["expires_at"] == "2026-10-29T12:00:00Z"
    assert made["link"].startswith(agency.resources.settings.public_url)
    token = path_of(made).rpartition("/")[2]
    assert len(token) == 43
    del made["link"]
    assert await agency.get(f"/v1/client-links/{made['id']}") == made
    assert (await agency.get("/v1/client-links"))["data"] == [made]
    async with agency.resources.transaction(agency.workspace_id) as session:
        for table in ("client_link", "client_link_token", "idempotent_answer", "event"):
            rows = await session.execute(select(_table(table)))
            assert token not in str(rows.all()), table


def _table(name: str) -> Any:
    return ClientStatement.metadata.tables[name]


async def test_a_contact_reads_the_overview(agency: Agency, setup: Setup, browser: httpx.AsyncClient) -> None:
    user_id = (await agency.get("/v1/me"))["user"]["id"]
    seats = f"/v1/projects/{setup.project_id}/seats"
    await agency.post(seats, {"user_id": user_id, "seat": "manager"})
    await agency.post(seats, {"user_id": user_id, "seat": "designer", "about": "draws <your> pictures"})
    await agency.post(seats, {"user_id": user_id, "seat": "client"})
    path = await setup.path("read", "project")
    page = await browser.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<html lang="ru">' in page.text
    assert "Менеджер" in page.text
    assert "draws &lt;your&gt; pictures" in page.text
    assert "@agency.example" not in page.text
    assert forms(page) == []
    visible = (await browser.get(path, headers={"Accept": "application/json"})).json()
    assert visible["subject"]["content"] == {
        "title": "Coffee at Nina's",
        "agency": "Step & Co",
        "team": [
            {"name": "Anna", "seat": "manager", "about": None},
            {"name": "Anna", "seat": "designer", "about": "draws <your> pictures"},
        ],
    }
    assert (visible["answers"], visible["content_hash"]) == ([], hash_of(visible["subject"]))
    refused = await agree(browser, path, seen=visible["content_hash"])
    assert (refused.status_code, refused.json()["code"]) == (422, "wrong-answer")


async def test_what_a_page_lets_browsers_do(setup: Setup, browser: httpx.AsyncClient) -> None:
    for page in (await browser.get(await setup.path()), await browser.get("/s/unknown")):
        policy = page.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} <= {*policy}
        assert not any(directive.startswith("script-src") for directive in policy)
        assert len({directive.partition(" ")[0] for directive in policy}) == len(policy)
        assert "<script" not in page.text
        assert page.headers["cache-control"] == "no-store, private"
        assert page.headers["x-robots-tag"] == "noindex"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["ratelimit"], "unknown tokens are counted by source, as all requests are"
        assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page.text


async def test_a_contact_agrees_by_the_form_of_the_page(
    agency: Agency, setup: Setup, browser: httpx.AsyncClient, program: httpx.AsyncClient
) -> None:
    made = await setup.link()
    path = path_of(made)
    page = await browser.get(f"{path}?utm_source=mail")
    assert BRIEF["business"].replace("<", "&lt;").replace(">", "&gt;") in page.text
    assert "Для: Nina, от: Step &amp; Co" in page.text
    assert "Бриф, версия 1" in page.text
    (form,) = forms(page)
    assert (form.method, form.action) == ("post", f"{path}/statements")
    assert list(form.buttons.values()) == ["agree", "decline"]
    fields = {**form.fields, "answer": "agree", "text": "Да.\r\nЭто мы <3"}
    own = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
    sent = await browser.post(form.action, data=fields, headers=own)
    assert (sent.status_code, sent.headers["location"]) == (303, path)
    after = await browser.get(path, headers=own)
    assert "Вы согласились" in after.text
    assert "Это мы &lt;3" in after.text
    assert forms(after) == []
    again = await browser.post(form.action, data=fields, headers=own)
    assert again.status_code == 303
    visible = (await program.get(path)).json()
    (statement,) = (await agency.get(f"/v1/client-links/{made['id']}/statements"))["data"]
    assert visible["statement"].items() <= statement.items()
    assert statement["content_hash"] == hash_of(visible["subject"])
    assert visible["subject"]["content"]["business"] == BRIEF["business"]
    assert (statement["answer"], statement["text"], statement["revision"]) == ("agree", "Да.\nЭто мы <3", "1")
    assert (statement["contact_id"], statement["contact_name"]) == (setup.contact_id, "Nina")
    assert (await agency.get("/v1/client-statements", subject_id=setup.project_id))["data"] == [statement]
    assert (await agency.get(f"/v1/client-links/{made['id']}"))["status"] == "used"
    assert await topics(agency) == ["client_link.opened", "client.stated"]


async def test_the_first_answer_counts_until_there_is_a_new_version(
    setup: Setup, program: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    path, other = await setup.path(), await setup.path()
    first = await agree(program, path, text="Yes")
    assert first.status_code == 201
    assert (await agree(program, path, text=" Yes ")).json() == first.json()
    assert (await agree(program, other, text="Yes")).json() == first.json(), "with another link of the same contact"
    for refused in (await agree(program, path, "decline"), await agree(program, other, text="Yes, but")):
        assert (refused.status_code, refused.json()["code"]) == (409, "already-stated")
    seen = (await program.get(path)).json()["content_hash"]
    await setup.write_brief(tone="Cool.")
    outdated = await agree(program, path, text="Yes", seen=seen)
    assert (outdated.status_code, outdated.json()["code"]) == (409, "revision-outdated")
    (form,) = forms(await browser.get(path))
    stale = {**form.fields, "answer": "agree", "content_hash": seen, "text": "Так и надо"}
    refused_form = await browser.post(form.action, data=stale)
    assert refused_form.status_code == 409
    for text in ("Ответ не принят: есть версия новее", "Бриф, версия 2", "Так и надо"):
        assert text in refused_form.text, "the newer version, and what was written"
    assert forms(refused_form) == [form]
    second = await agree(program, path, "decline", "We are not cool.")
    assert (second.status_code, second.json()["revision"]) == (201, "2")


async def test_many_at_once_have_one_effect(agency: Agency, setup: Setup, program: httpx.AsyncClient) -> None:
    made = [await setup.link() for _ in range(3)]
    paths = [path_of(each) for each in made]
    seen = (await program.get(paths[0])).json()["content_hash"]
    answers = await asyncio.gather(*(agree(program, path, seen=seen) for path in paths * 4))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    stated = await agency.get("/v1/client-statements", project_id=setup.project_id)
    assert len(stated["data"]) == 1
    assert (await topics(agency)).count("client.stated") == 1
    used = [(await agency.get(f"/v1/client-links/{each['id']}"))["status"] for each in made]
    assert sorted(used) == ["active", "active", "used"]


async def test_of_two_different_ones_at_once_one_counts(
    agency: Agency, setup: Setup, program: httpx.AsyncClient
) -> None:
    paths = [await setup.path() for _ in range(2)]
    seen = (await program.get(paths[0])).json()["content_hash"]
    answers = await asyncio.gather(
        *(agree(program, path, answer, seen=seen) for path in paths for answer in ("agree", "decline"))
    )
    counted = [answer.json()["answer"] for answer in answers if answer.status_code == 201]
    refused = [answer.json()["code"] for answer in answers if answer.status_code != 201]
    assert (len(set(counted)), set(refused)) == (1, {"already-stated"})
    (statement,) = (await agency.get("/v1/client-statements"))["data"]
    assert statement["answer"] == counted[0]


def test_the_rule_is_one_of_the_database() -> None:
    names = [
        set(rule.columns.keys()) for rule in _table("client_statement").constraints if rule.name and "uq" in rule.name
    ]
    assert names == [{"workspace_id", "contact_id", "purpose", "subject_kind", "subject_id", "revision"}]


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_a_link_that_has_ended_says_why(
    agency: Agency, setup: Setup, program: httpx.AsyncClient, clock: SetClock, accept: str
) -> None:
    revoked, expired = await setup.link(), await setup.path(expires_at="2026-10-16T12:00:00Z")
    left = await setup.path()
    seen = (await program.get(left)).json()["content_hash"]
    headers = {"Accept": accept}

    async def refusal(path: str, status: int, code: str, title: str) -> None:
        stating = await agree(program, path, seen=seen)
        assert (stating.status_code, stating.json()["code"]) == (status, code)
        answer = await program.get(path, headers=headers)
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store, private"
        assert (title in answer.text) if accept == "text/html" else (answer.json()["code"] == code)
        assert (await program.head(path)).status_code == status

    await refusal("/s/unknown", 404, "link-unknown", "This link leads nowhere")
    await refusal("/s/" + "a" * 43, 404, "link-unknown", "This link leads nowhere")
    assert (await agency.post(f"/v1/client-links/{revoked['id']}/revoke", status=200))["status"] == "revoked"
    assert (await agency.post(f"/v1/client-links/{revoked['id']}/revoke", status=200))["status"] == "revoked"
    await refusal(path_of(revoked), 410, "link-revoked", "Эту ссылку отозвали")
    clock.advance(timedelta(days=1))
    await refusal(expired, 410, "link-expired", "Срок этой ссылки вышел")
    assert (await agency.http.delete(f"/v1/projects/{setup.project_id}/contacts/{setup.contact_id}")).status_code == 204
    await refusal(left, 410, "contact-removed", "Эта ссылка закрыта")
    assert (await setup.link(status=404))["code"] == "not-found"


async def test_only_people_are_counted(agency: Agency, setup: Setup, browser: httpx.AsyncClient) -> None:
    made = await setup.link("read", "project")
    path = path_of(made)
    for headers in (
        {"User-Agent": BOTS["Telegram"]},
        {"User-Agent": BOTS["Google Safety"]},
        {"User-Agent": ""},
        {"Sec-Purpose": "prefetch"},
        {"Sec-Fetch-Site": "same-origin"},
    ):
        assert (await browser.get(path, headers=headers)).status_code == 200
    head = await browser.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert (await agency.get(f"/v1/client-links/{made['id']}"))["opens"] == 0
    answers = await asyncio.gather(*(browser.get(path) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    counted = await agency.get(f"/v1/client-links/{made['id']}")
    assert (counted["opens"], counted["first_opened_at"]) == (5, "2026-10-15T12:00:00Z")
    assert await topics(agency) == ["client_link.opened"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null"}, 303),
        ({"Origin": "public"}, 303),
        ({}, 303),
    ],
)
async def test_a_form_of_another_site_is_refused(
    agency: Agency, setup: Setup, browser: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    if headers.get("Origin") == "public":
        headers = {"Origin": agency.resources.settings.public_url.rstrip("/")}
    path = await setup.path()
    (form,) = forms(await browser.get(path))
    answer = await browser.post(form.action, data={**form.fields, "answer": "agree"}, headers=headers)
    assert answer.status_code == status
    assert len((await agency.get("/v1/client-statements"))["data"]) == (status == 303)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"answer": "agree"}', "application/json", 422),
        (b'{"answer": "perhaps", "content_hash": "' + b"0" * 64 + b'"}', "application/json", 422),
        (b'{"answer": "approve", "content_hash": "' + b"0" * 64 + b'"}', "application/json", 422),
        (b'{"answer": "agree", "content_hash": "x"}', "application/json", 422),
        (b'{"answer": "agree", "content_hash": "' + b"0" * 64 + b'", "text": 1}', "application/json", 422),
        (b'{"answer": "agree", "content_hash": "' + b"0" * 64 + b'", "text": "a\\u0000"}', "application/json", 422),
        (
            b'{"answer": "agree", "content_hash": "' + b"0" * 64 + b'", "text": "' + b"x" * 2001 + b'"}',
            "application/json",
            422,
        ),
        (b'{"answer": "agree", "content_hash": "' + b"0" * 64 + b'", "also": 1}', "application/json", 422),
        (b'{"answer": "agree", "content_hash": "' + b"0" * 64 + b'"}', "application/json", 409),
        (b"answer=agree", "application/x-www-form-urlencoded", 422),
        (b"answer=agree&text=%FF", "application/x-www-form-urlencoded", 422),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(21)), "application/x-www-form-urlencoded", 400),
        (b"agree", "text/plain", 415),
        (b"", "application/json", 400),
    ],
)
async def test_bad_input_is_refused_and_stores_nothing(
    agency: Agency, setup: Setup, browser: httpx.AsyncClient, content: bytes, kind: str, status: int
) -> None:
    path = await setup.path()
    answer = await browser.post(f"{path}/statements", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html" if "form" in kind else "application/problem+json")
    assert (await agency.get("/v1/client-statements"))["data"] == []


async def test_what_a_link_cannot_be_about(agency: Agency, setup: Setup, rival: Agency) -> None:
    assert (await setup.link("agree", "project", status=422))["code"] == "unknown-subject"
    assert "brief" in (await setup.link("agree", "nothing", status=422))["detail"]
    assert (await setup.link(status=422, expires_at="2026-10-15T12:00:00Z"))["code"] == "not-in-the-future"
    assert (await setup.link(status=422, expires_at="2027-01-13T12:00:01Z"))["code"] == "too-late"
    await setup.link(expires_at="2027-01-13T12:00:00Z")
    other = await agency.post("/v1/projects", {"title": "Tea", "timezone": "UTC"})
    await setup.link(status=409, subject_id=other["id"])  # it has no brief
    await agency.put(f"/v1/projects/{other['id']}/brief", {"business": "Tea"})
    assert "another project" in (await setup.link(status=404, subject_id=other["id"]))["detail"]
    theirs = await rival.post("/v1/projects", {"title": "Theirs", "timezone": "UTC"})
    await setup.link("read", "project", status=404, subject_id=theirs["id"])


async def test_links_are_filtered(agency: Agency, setup: Setup, program: httpx.AsyncClient, clock: SetClock) -> None:
    contacts = f"/v1/projects/{setup.project_id}/contacts"
    other = await agency.post(contacts, {"name": "Oleg", "email": "oleg@coffee.example"})
    expired = await setup.link("read", "project", expires_at="2026-10-16T12:00:00Z")
    revoked = await setup.link("read", "project")
    used = await setup.link()
    active = await setup.link("read", "brief", contact_id=other["id"])
    assert (await agree(program, path_of(used))).status_code == 201
    await agency.post(f"/v1/client-links/{revoked['id']}/revoke", status=200)
    clock.advance(timedelta(days=2))

    async def ids(**filters: str) -> Sequence[str]:
        return [each["id"] for each in (await agency.http.get("/v1/client-links", params=filters)).json()["data"]]

    everything = [each["id"] for each in (active, used, revoked, expired)]
    assert await ids() == everything
    assert await ids(project_id=setup.project_id) == everything
    assert await ids(contact_id=other["id"]) == [active["id"]]
    assert await ids(purpose="agree") == [used["id"]]
    for status, link in {"active": active, "used": used, "revoked": revoked, "expired": expired}.items():
        assert await ids(status=status) == [link["id"]]
        assert (await agency.get(f"/v1/client-links/{link['id']}"))["status"] == status
    assert await ids(status="active", contact_id=setup.contact_id) == []
    page = await agency.get("/v1/client-links", limit=3)
    rest = await agency.get("/v1/client-links", limit=3, cursor=page["next_cursor"])
    assert [each["id"] for each in (*page["data"], *rest["data"])] == everything


async def test_no_token_is_logged(agency: Agency, setup: Setup, browser: httpx.AsyncClient) -> None:
    """A canary: the token is looked for in all that is logged of making, opening, answering and failing."""
    with capture_logs() as logs:
        made = await setup.link()
        path = path_of(made)
        await browser.get(path)
        (form,) = forms(await browser.get(path))
        await browser.post(form.action, data={**form.fields, "answer": "agree", "text": "canary words"})
        await browser.post(form.action, data={**form.fields, "answer": "decline"})
        await browser.put(path)
        await agency.post(f"/v1/client-links/{made['id']}/revoke", status=200)
        await browser.get(path)
    token, text = path.rpartition("/")[2], str(logs)
    assert [line["action"] for line in logs if line["event"] == "change"] == [
        *("client-links.create", "client-links.open", "client-links.state", "client-links.revoke")
    ]
    assert "/s/{token}" in text
    assert token not in text
    assert "canary" not in text


def test_subjects_ask_for_each_purpose_but_read() -> None:
    assert {"project", "brief"} <= subjects().keys()
    for kind, subject in subjects().items():
        assert subject.kind == kind
        assert set(subject.question) == set(subject.purposes) - {Purpose.READ}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text('aé"\\\n\x1f\x7f\u2028я🙂/', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1é", max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc", max_size=3), JSON, max_size=4), st.text("123", min_size=1, max_size=2))
def test_the_hash_is_the_documented_one_and_of_the_content_alone(content: dict[str, Any], revision: str) -> None:
    subject_id = uuid.UUID(int=7)

    def view(content: dict[str, Any], title: str) -> SubjectView:
        return SubjectView(uuid.UUID(int=1), revision, title, content, [])

    expected = hash_of({"kind": "brief", "id": str(subject_id), "revision": revision, "content": content})
    assert content_hash("brief", subject_id, view(content, "One")) == expected
    backwards = dict(reversed(list(content.items())))
    assert content_hash("brief", subject_id, view(backwards, "Two")) == expected
    assert content_hash("goal", subject_id, view(content, "One")) != expected
