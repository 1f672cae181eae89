"""A sample agency, created through the HTTP API alone, as any script could.

The agency connects one Mastodon and one VK community of the sandbox to a client's project, plans a
few posts, answers a customer, and has a tracked link that browsers and link-preview bots follow. A second
start finds it again by the stored API key.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from app.cli import sample_month
from app.cli.console import done, step
from app.cli.sample_api import SampleApi, SampleError
from app.cli.sample_month import Month
from app.kit.http import Client, client

QUESTIONS: Final = (
    ("How large is the audience? (awareness)", "community_size"),
    ("How long do customers wait for an answer? (support)", "first_response_time"),
    ("How many people went to the site? (traffic)", "clicks"),
)
TIMEZONE: Final = "Europe/Minsk"
READ_TIMEOUT: Final = 180.0
"""Seconds that the first poll of a month of a sandbox community may take."""

BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
        "Mobile/15E148 Safari/604.1"
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    (
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile "
        "Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 "
        "YaBrowser/25.8.0.0 Safari/537.36"
    ),
)
PREVIEW_BOTS: Final = (
    "TelegramBot (like TwitterBot)",
    "Mastodon/4.4.3 (http.rb/5.2.0; +https://mastodon.example/) Bot",
)

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""The sample project works every day."""

PLAN: Final = (
    (timedelta(hours=3), "engaging", "What is your word for a very small coffee?"),
    (timedelta(days=1), "user_generated", "Olga's cups of the month: thank you for the photographs!"),
    (timedelta(days=3), "educational", "Why the second pour matters: brewing at home in four pictures."),
    (timedelta(days=4), "promotional", "Two cups for one before nine in the morning, all week."),
    (timedelta(days=8), "engaging", "Guess the bean: three photographs, one cup to win."),
)
"""What is planned: how far from now, the category, the text. What lies before is on the platforms already."""
TEAM: Final = (
    ("Boris", "manager", "answers for the project"),
    ("Vera", "community_manager", "answers your customers, from eight to ten"),
)
"""Who gets a seat: name, seat, and what the client reads of them."""
WITH_HOOK: Final = ("vk",)
"""The platforms that send events to a hook: nothing else says who joins."""
CATEGORISED: Final = 12
"""So many of the newest posts that were found on the platforms get a category, as a person would give it."""


@dataclass(frozen=True)
class Answer:
    """A question, the request that answers it, and the API's response."""

    title: str
    curl: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class SignIn:
    """With what somebody of the sample agency signs in."""

    seat: str
    email: str
    password: str


@dataclass(frozen=True)
class Sample:
    """What is printed: the API key, who may sign in, and answered questions."""

    api_key: str
    people: Sequence[SignIn]
    answers: Sequence[Answer]
    month: Month | None
    """None where the agency was made by a version without one."""


async def seed(api_url: str, sandbox_url: str, *, state_file: Path) -> Sample:
    """Create the sample agency, or find it again; wait for its metrics and ask for three KPIs.

    `state_file` stores, in the data folder, what a second start needs.
    """
    hosts = [url.removeprefix("http://") for url in (api_url, sandbox_url)]
    async with client(allow=hosts, deadline=30) as http:
        state = json.loads(state_file.read_text()) if state_file.exists() else None
        if state is not None and await _key_works(http, api_url, state["api_key"]):
            done("found the sample agency of an earlier start")
        else:
            state = await _make(http, api_url, sandbox_url)
            state_file.write_text(json.dumps(state))
            state_file.chmod(0o600)
        api = SampleApi(http, api_url, state["api_key"])
        await _wait_until_read(api, state["communities"])
        if not state.get("answered"):
            await _categorise(api, state["communities"][0])
            await _answer_latest_customer(api)
            await _let_people_join(api, sandbox_url, state["communities"])
            state = {**state, "answered": True}
            state_file.write_text(json.dumps(state))
        if "month" not in state and "link_id" in state:
            today = datetime.now(ZoneInfo(TIMEZONE)).date()
            state["month"] = await sample_month.begin(api, state["project_id"], state["link_id"], today)
            state_file.write_text(json.dumps(state))
        return Sample(
            state["api_key"],
            [SignIn(**person) for person in state.get("people", ())],
            [await _kpi_answer(api, state["project_id"], *question) for question in QUESTIONS],
            await sample_month.read(api, state["project_id"], state["month"]) if "month" in state else None,
        )


async def _key_works(http: Client, api_url: str, key: str) -> bool:
    answer = await http.get(f"{api_url}/v1/me", headers={"Authorization": f"Bearer {key}"})
    return answer.is_success


async def _make(http: Client, api_url: str, sandbox_url: str) -> dict[str, Any]:
    owner = {"name": "Anna", "email": f"anna@{sandbox_url.rpartition(':')[2]}.example"}
    made = await SampleApi(http, api_url, "").call("POST", "/v1/workspaces", {"title": "Step & Co", "owner": owner})
    api = SampleApi(http, api_url, made["api_key"]["key"])
    done("signed up the agency Step & Co")
    hours = {"week": {day: [{"opens": "08:00", "closes": "22:00"}] for day in WEEKDAYS}}
    project = await api.call(
        "POST", "/v1/projects", {"title": "Coffee house", "timezone": TIMEZONE, "working_hours": hours}
    )
    await api.call(
        "PUT",
        f"/v1/projects/{project['id']}/brief",
        {
            "business": "A coffee house with its own roast",
            "audience": "People who work and study nearby",
            "tone": "Warm, brief, a little playful",
            "faq": [{"question": "Are you open on Sunday?", "answer": "Yes, from ten to eight."}],
        },
    )
    communities = []
    for community in await _busiest_communities(http, sandbox_url):
        communities.append(await _connect(api, project["id"], community))
        if community["platform"] in WITH_HOOK:
            await api.call("PUT", f"/v1/communities/{communities[-1]}/hook", {"secrets": {}})
    done("connected its communities on Mastodon and VK, which calls when somebody writes, joins or leaves")
    people = [await _invite(http, api, project["id"], *each) for each in TEAM]
    done("gave a manager and a community manager their seats")
    now = datetime.now(ZoneInfo(project["timezone"]))
    for ahead, category, text in PLAN:
        at = (now + ahead).replace(minute=0, second=0, microsecond=0, tzinfo=None).isoformat()
        plan = {"community_id": communities[0], "text": text, "category": category, "planned_for": at}
        await api.call("POST", "/v1/posts", {**plan, "status": "planned"})
    link = await api.call(
        "POST", "/v1/links", {"project_id": project["id"], "target": "https://coffee.example/menu", "title": "The menu"}
    )
    await _follow(http, api_url, link["slug"])
    done("planned posts for the week to come; people, and link previews, followed its tracked link")
    return {
        "api_key": api.key,
        "people": people,
        "project_id": project["id"],
        "communities": communities,
        "slug": link["slug"],
        "link_id": link["id"],
    }


async def _invite(http: Client, api: SampleApi, project_id: str, name: str, seat: str, about: str) -> dict[str, str]:
    """Invite somebody with a seat in the project, accept, and return with what they sign in."""
    email = f"{name.lower()}-{project_id[-6:]}@agency.example"
    seats = [{"project_id": project_id, "seat": seat, "about": about}]
    invitation = await api.call("POST", "/v1/invitations", {"email": email, "name": name, "seats": seats})
    password = secrets.token_urlsafe(12)
    token = invitation["link"].partition("?token=")[2]
    await SampleApi(http, api.url, "").call("POST", "/v1/invitations/accept", {"token": token, "password": password})
    return {"seat": seat, "email": email, "password": password}


async def _busiest_communities(http: Client, sandbox_url: str) -> list[dict[str, Any]]:
    """The busiest community of each platform."""
    communities: list[dict[str, Any]] = (await http.get(f"{sandbox_url}/_sandbox/communities")).json()
    busiest = {
        community["platform"]: community for community in sorted(communities, key=lambda community: community["busy"])
    }
    return [busiest[platform] for platform in sorted(busiest)]


async def _connect(api: SampleApi, project_id: str, community: Mapping[str, Any]) -> str:
    body = {
        "project_id": project_id,
        "platform": community["platform"],
        "address": community["address"],
        "backfill_days": 31,
        "credentials": {kind: token for kind, token in community["tokens"].items() if token},
    }
    made = await api.call("POST", "/v1/communities", body)
    return str(made["id"])


async def _follow(http: Client, api_url: str, slug: str) -> None:
    for agent in (*BROWSERS, *PREVIEW_BOTS):
        await http.get(f"{api_url}/r/{slug}", headers={"User-Agent": agent, "Accept": "text/html"})


async def _wait_until_read(api: SampleApi, communities: Sequence[str]) -> None:
    """Wait until the worker has read a month of all communities, printing the progress."""
    last_reported = -1
    deadline = asyncio.get_running_loop().time() + READ_TIMEOUT
    while True:
        health = [await api.call("GET", f"/v1/communities/{community}/health") for community in communities]
        posts = sum(one["publications"] for one in health)
        if posts != last_reported:
            step(f"reading a month of posts, comments and messages: {posts} posts so far")
            last_reported = posts
        if all(one["polled_at"] is not None for one in health):
            done(f"read {posts} posts and what customers wrote")
            return
        for one in health:
            if one["status"] in {"failed", "reauth_required"} or asyncio.get_running_loop().time() > deadline:
                raise SampleError(f"a sample community is {one['status']}: {one['reason'] or 'still being read'}")
        await asyncio.sleep(1)


async def _categorise(api: SampleApi, community: str) -> None:
    """Give the newest posts of a community the category that their text suggests."""
    page = await api.call("GET", f"/v1/posts?community_id={community}&origin=found&limit={CATEGORISED}")
    for post in page["data"]:
        await api.call("PATCH", f"/v1/posts/{post['id']}", {"category": category_of(post["text"])})
    done(f"gave {len(page['data'])} of those posts a category; the plan goes on from today")


def category_of(text: str) -> str:
    """The category of the content formula that a text of the sandbox suggests."""
    for category, marks in (
        ("user_generated", ("guest", "drawn", "Photo by", "“")),
        ("educational", ("How to", "Why", "What the")),
        ("engaging", ("?", "Guess", "Describe")),
    ):
        if any(mark in text for mark in marks):
            return category
    return "promotional"


async def _answer_latest_customer(api: SampleApi) -> None:
    """Answer the customer of the latest open inquiry, through the platform."""
    open_inquiries = (await api.call("GET", "/v1/inquiries?status=open&limit=1"))["data"]
    if not open_inquiries:
        return
    inquiry = f"/v1/inquiries/{open_inquiries[0]['id']}"
    body = {"text": "Thank you for writing! We are looking into it."}
    made = await api.call("POST", f"{inquiry}/messages", body)

    def sent(inquiry_read: Any) -> bool:
        return any(one["id"] == made["id"] and one["delivery"] == "sent" for one in inquiry_read["messages"])

    await api.get_until(inquiry, sent, "the answer to a customer is not sent yet")
    done(f"answered {open_inquiries[0]['customer']['name']}, who wrote: {open_inquiries[0]['preview'][:60]}")


async def _let_people_join(api: SampleApi, sandbox_url: str, communities: Sequence[str]) -> None:
    """Let one simulated person join each community whose platform tells of it, so that nobody waits for the first."""
    for community, simulated in zip(communities, await _busiest_communities(api.http, sandbox_url), strict=True):
        if simulated["platform"] not in WITH_HOOK:
            continue
        hook = f"/v1/communities/{community}/hook"
        await api.get_until(hook, lambda one: one["status"] == "subscribed", "a platform does not call yet")
        address = f"{sandbox_url}/_sandbox/communities/{simulated['key']}"
        (await api.http.post(address, json={"act": "follow"})).raise_for_status()
    done("somebody joined the community on VK, which called")


async def _kpi_answer(api: SampleApi, project_id: str, title: str, key: str) -> Answer:
    path = f"/v1/projects/{project_id}/kpis/{key}?granularity=month"
    body = await api.get_until(path, lambda answer: answer["value"] is not None, f"{key} has no value yet")
    return Answer(title, f'curl -s -H "Authorization: Bearer {api.key}" "{api.url}{path}"', body)
