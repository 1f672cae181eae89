"""Every HTML page in every state and language: who cannot see, has a phone, or reads Russian alone can use it."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.kit.clock import SetClock
from app.kit.i18n import LANGUAGES
from app.kit.pages import content_security_policy
from tests.access.people import PASSWORD, client, invited
from tests.conftest import Agency
from tests.forms import forms
from tests.goals.conftest import make_setup
from tests.links.agents import PEOPLE
from tests.pages import contrast, faults, texts, weak_contrasts

OWN = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
NAMES = {
    *("Nina", "Anna", "Olga", "Step", "Co", "Coffee", "at", "Nina's"),
    *("Mastodon", "Chrome", "Windows", "python-httpx", "UTC", "NUL", "name@example.com."),
}
"""What stands in Latin letters on a Russian page too, besides addresses."""
HEADINGS = "it needs one main part, with one heading of the first level before the others"
LATIN = re.compile(r"[A-Za-z][\w.@'-]*")


def browser_of(app: FastAPI, language: str) -> httpx.AsyncClient:
    """A browser of somebody who reads this language."""
    made = client(app)
    headers = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": language, "User-Agent": PEOPLE["Chrome"]}
    made.headers.update(headers)
    return made


async def client_pages(app: FastAPI, agency: Agency, clock: SetClock, language: str) -> Mapping[str, httpx.Response]:
    """The pages of client links, by their state."""
    setup = await make_setup(agency)
    contact = f"/v1/projects/{setup.project_id}/contacts"
    made = await agency.post(contact, {"name": "Nina", "email": f"{language}@coffee.example", "language": language})

    async def link(purpose: str, kind: str, subject_id: str, **more: Any) -> str:
        body = {"contact_id": made["id"], "purpose": purpose, "subject_kind": kind, "subject_id": subject_id} | more
        address = (await agency.post("/v1/client-links", body))["link"]
        return "/s/" + str(address).rpartition("/")[2]

    user_id = (await agency.get("/v1/me"))["user"]["id"]
    await agency.post(f"/v1/projects/{setup.project_id}/seats", {"user_id": user_id, "seat": "manager"})
    await agency.put(f"/v1/projects/{setup.project_id}/brief", {"business": "Кофейня.", "tone": "Тепло, коротко."})
    goal = await setup.goal(title="Нас больше")
    goal_id = goal["id"]
    browser = browser_of(app, language)
    pages = {"overview": await browser.get(await link("read", "project", setup.project_id))}
    pages["brief"] = await browser.get(await link("agree", "brief", setup.project_id))
    path = await link("agree", "goal", goal_id)
    pages["proposed"] = await browser.get(path)
    (form,) = forms(pages["proposed"])
    seen = form.fields | {"answer": "agree"}
    pages["too-long"] = await browser.post(form.action, data=seen | {"text": "a" * 2001}, headers=OWN)
    pages["no-answer"] = await browser.post(form.action, data=form.fields, headers=OWN)
    assert (await browser.post(form.action, data=seen | {"text": "Да"}, headers=OWN)).status_code == 303
    pages["agreed"] = await browser.get(path)
    rate = {"reason": "Так было", "value": 1500}
    changed = {"target": 12345.5, "period": {"from": "2026-10-10", "to": "2026-12-31"}, "stated_baseline": rate}
    await agency.patch(f"/v1/goals/{goal_id}", changed | {"title": "Нас ещё больше"})
    pages["changed"] = await browser.get(path)
    pages["outdated"] = await browser.post(form.action, data=seen | {"text": "Да"}, headers=OWN)
    (form,) = forms(pages["outdated"])
    assert (await browser.post(form.action, data=form.fields | {"answer": "decline", "text": "Нет"})).status_code == 303
    pages["declined"] = await browser.get(path)
    pages["stated-already"] = await browser.post(form.action, data=seen, headers=OWN)
    pages["another-site"] = await browser.post(form.action, data=seen, headers={"Sec-Fetch-Site": "cross-site"})
    other = {"title": "Отвечаем быстро", "type": "support", "kpi": "first_response_time", "target": 1800}
    waits = {
        "stated_baseline": {"value": 5430, "reason": "По журналу"},
        "community_ids": [str(setup.place.community_id)],
    }
    quick = await setup.goal(**other, **waits)
    pages["duration"] = await browser.get(await link("agree", "goal", quick["id"]))
    await agency.post(f"/v1/goals/{goal_id}/withdraw", status=200)
    pages["withdrawn"] = await browser.get(path)
    pages["unknown"] = await browser.get("/s/unknown")
    revoked = await agency.post(
        "/v1/client-links",
        {"contact_id": made["id"], "purpose": "read", "subject_kind": "goal", "subject_id": goal_id},
    )
    await agency.post(f"/v1/client-links/{revoked['id']}/revoke", status=200)
    pages["revoked"] = await browser.get("/s/" + revoked["link"].rpartition("/")[2])
    left = await link("read", "goal", goal_id, expires_at="2026-11-30T12:00:00Z")
    clock.advance(timedelta(days=15))
    pages["expired"] = await browser.get(path)
    await agency.http.delete(f"{contact}/{made['id']}")
    pages["removed"] = await browser.get(left)
    return pages


async def account_pages(app: FastAPI, agency: Agency, rival: Agency, language: str) -> Mapping[str, httpx.Response]:
    """The pages of accounts, by their state."""
    person = await invited(app, agency, "Olga")
    browser = browser_of(app, language)
    pages = {"sign-in": await browser.get("/account/sign-in")}

    async def sign_in(**fields: str) -> httpx.Response:
        return await browser.post("/account/sign-in", data=fields, headers=OWN)

    pages["empty"] = await sign_in(email="", password="")
    pages["no-address"] = await sign_in(email="olga", password="x")
    pages["wrong-password"] = await sign_in(email=person.email, password="x")
    assert (await sign_in(email=person.email, password=PASSWORD)).status_code == 303
    pages["account"] = await browser.get("/account")
    pages["csrf"] = await browser.post("/account/sign-out", data={"csrf_token": "x"}, headers=OWN)
    made = await agency.post("/v1/invitations", {"email": f"new-{language}@agency.example", "name": "Olga"})
    query = made["link"].partition("?")[2]
    pages["invitation"] = await browser.get(f"/account/invitation?{query}")
    (form,) = forms(pages["invitation"])
    joining = form.fields | {"name": "Olga"}
    for state, fields in (("no-name", {"name": " "}), ("weak-password", {"password": "password123"})):
        pages[state] = await browser.post("/account/invitation", data=joining | fields, headers=OWN)
    moved = await rival.post("/v1/invitations", {"email": person.email, "name": "Olga"})
    pages["invitation-of-a-member"] = await browser.get("/account/invitation?" + moved["link"].partition("?")[2])
    pages["invitation-ended"] = await browser.get("/account/invitation?token=x")
    reset = await agency.post(f"/v1/users/{person.id}/password-reset", status=200)
    pages["reset"] = await browser.get("/account/password-reset?" + reset["link"].partition("?")[2])
    pages["no-mail"] = await browser.get("/account/forgot-password")
    pages["dead-link"] = await browser.get("/r/nothing-here")
    return pages


def untranslated(html: str) -> list[str]:
    """The texts of a Russian page that are in another language."""
    return [text for text in texts(html) if set(LATIN.findall(re.sub(r"\S+(/|@)\S+|a{9,}", "", text))) - NAMES]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_can_be_used_by_everybody(
    app: FastAPI, agency: Agency, rival: Agency, clock: SetClock, language: str
) -> None:
    pages = {**await account_pages(app, agency, rival, language), **await client_pages(app, agency, clock, language)}
    wrong = {}
    for state, page in pages.items():
        page_faults = faults(page.text, language) + weak_contrasts(page.text)
        policy = content_security_policy(page.text, form_action="'self'")
        if page.headers.get("content-security-policy") != policy:
            page_faults.append("its policy is not that of its own style and forms alone")
        if language == "ru":
            page_faults += untranslated(page.text)
        if page_faults:
            wrong[state] = page_faults
    assert wrong == {}
    for state in ("too-long", "outdated", "empty", "weak-password", "expired", "dead-link"):
        assert pages[state].status_code in {401, 404, 409, 410, 422}, f"{state} is no error"


@pytest.mark.parametrize(
    ("sound", "planted", "fault"),
    [
        ('<label for="name">', "<label>", "name has no label"),
        ('lang="en"', 'lang="ru"', "its language is 'ru'"),
        ("<title>Page</title>", "<title></title>", "it has no title"),
        (
            "<h1>Page</h1>",
            "<h2>Page</h2>",
            "it needs one main part, with one heading of the first level before the others",
        ),
        ("</main>", '<script src="x"></script></main>', "<script>"),
        ("<p>", '<p onclick="x">', "<p> has onclick"),
        ("</p>", "", "</main> ends what is not open"),
        ('id="name-error"', 'id="other"', "name is described by name-error, which is not there"),
        (' aria-invalid="true"', "", "name is wrong, or is not, but does not say so"),
    ],
)
def test_faults_of_pages_are_seen(sound: str, planted: str, fault: str) -> None:
    page = (
        '<html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Page</title>'
        '<main><h1>Page</h1><p>Text</p><label for="name">Name</label><p id="name-error">Wrong</p>'
        '<input id="name" name="name" aria-describedby="name-error" aria-invalid="true"></main></html>'
    )
    assert faults(page, "en") == []
    assert fault in faults(page.replace(sound, planted), "en")


def test_weak_contrasts_and_foreign_texts_are_seen() -> None:
    assert (round(contrast("#000", "#ffffff"), 2), round(contrast("#777777", "#fff"), 2)) == (21, 4.48)
    css = ":root { --ink: #000; --soft: #777777; --accent: #000; --good: #000; --bad: #000; --edge: #000;"
    css += " --paper: #fff; --ground: #fff; --on-accent: #fff; }"
    assert weak_contrasts(css * 2) == [
        f"soft on {ground} in scheme {scheme}: 4.48" for scheme in (0, 1) for ground in ("paper", "ground")
    ]
    assert untranslated("<p>Ответ</p><p>Answer</p><p>Nina</p>") == ["Answer"]
