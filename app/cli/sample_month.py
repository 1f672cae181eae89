"""The sample agency's month: goals that its client agrees to, a correction, a campaign, and who did what.

The month began before the agency's first day here, as the platforms' histories do. One goal is on its way. For the
other one the client asks for more than what is to be expected, so it is at risk, and a correction is opened. A third
one waits for the client, whose page can be opened in a browser.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil, floor
from typing import Any, Final

from app.cli.console import done
from app.cli.sample_api import SampleApi, SampleError

ELAPSED: Final = 16
"""Whole days of the month that are over."""
LENGTH: Final = 30
EASY: Final = 0.9
"""The share of what is to be expected that the first goal promises."""
BEFORE: Final = 0.7
"""The share of it that was usual before, as people remember it."""
BEHIND: Final = 1.05
SPEND: Final = ((6, "40.00"), (4, "60.00"), (2, "50.00"))
"""How many days ago, and how much."""
CURRENCY: Final = "RUB"
CLICKS: Final = (5, 20)
"""What the goal starts from that waits for the client, and what it promises."""
MAIN_TITLE: Final = "Customers are answered"
HARD_TITLE: Final = "People talk with us"
WAITING_TITLE: Final = "Guests see the menu"
CHANGE: Final = "Ask in every post"
LINK_LASTS: Final = timedelta(days=90)
REVIEW_AFTER: Final = timedelta(days=7)


@dataclass(frozen=True)
class Month:
    """What is printed of the month: rows of what there is, how it stands, and its figures."""

    title: str
    rows: Sequence[tuple[str, str, str]]
    client_page: str | None
    """The path of the page on which the client answers a goal."""


async def begin(api: SampleApi, project_id: str, link_id: str, today: date) -> dict[str, Any]:
    """Let the sample agency have its month; the ids of what it made."""
    first = today - timedelta(days=ELAPSED)
    period = {"from": str(first), "to": str(first + timedelta(days=LENGTH - 1))}
    contact = await api.call(
        "POST",
        f"/v1/projects/{project_id}/contacts",
        {"name": "Nina", "email": "nina@coffee.example", "about": "owns the coffee house"},
    )
    easy = await _easy_goal(api, project_id, contact["id"], period, today)
    hard = await _hard_goal(api, project_id, contact["id"], period, today)
    correction = await api.call(
        "POST",
        "/v1/corrections",
        {
            "project_id": project_id,
            "goal_id": hard,
            "hypothesis": "Few posts ask anything, so few people answer.",
            "change": CHANGE,
            "review_on": str(today + REVIEW_AFTER),
        },
    )
    done("the goal at risk has a correction, to be reviewed in a week")
    campaign = await _campaign(api, project_id, link_id, today)
    waiting = await _waiting_goal(api, project_id, today)
    page = await _client_page(api, contact["id"], waiting)
    done("a third goal waits for the client, whose page you can open")
    return {
        "goals": [easy, hard],
        "waiting": waiting,
        "client_page": page,
        "correction": correction["id"],
        "campaign": campaign,
        "period": period,
    }


async def _propose(
    api: SampleApi, project_id: str, period: dict[str, str], expected: float, target: float, **terms: Any
) -> str:
    """A new goal; `expected`: over the whole period, if it goes on as it did."""
    baseline = {"value": floor(BEFORE * expected), "reason": "So much in a month of last year."}
    body = {"project_id": project_id, "period": period, "target": target, "stated_baseline": baseline, **terms}
    return str((await api.call("POST", "/v1/goals", body))["id"])


async def _easy_goal(api: SampleApi, project_id: str, contact_id: str, period: dict[str, str], today: date) -> str:
    """A goal that the team will reach as it goes on."""
    expected = await _expected(api, project_id, "inquiries_handled", period, today)
    goal_id = await _propose(
        api,
        project_id,
        period,
        expected,
        max(floor(EASY * expected), 1),
        title=MAIN_TITLE,
        type="support",
        kpi="inquiries_handled",
        is_main=True,
    )
    await _answer(api, contact_id, goal_id, "agree", "That is what we need.")
    done("the client agreed to a goal, by a link and without an account")
    return goal_id


async def _hard_goal(api: SampleApi, project_id: str, contact_id: str, period: dict[str, str], today: date) -> str:
    """A goal that the client declines and, with a harder target, agrees to."""
    expected = await _expected(api, project_id, "engagement", period, today)
    goal_id = await _propose(
        api,
        project_id,
        period,
        expected,
        max(floor(EASY * expected), 1),
        title=HARD_TITLE,
        type="awareness",
        kpi="engagement",
    )
    forecast = (await _measured(api, goal_id, 1))["forecast"]
    await _answer(api, contact_id, goal_id, "decline", "We hoped for more.")
    await api.call("PATCH", f"/v1/goals/{goal_id}", {"target": hard_target(expected, forecast)})
    await _answer(api, contact_id, goal_id, "agree", "Like this.")
    done("the client declined another one, and agreed to its next revision")
    return goal_id


def hard_target(expected: float, forecast: Mapping[str, float | None]) -> int:
    """A target above the forecast; within its interval, where that has room above: then the goal is at risk.

    Of a month in which every week fell behind the one before the interval has none, and the goal is off its path.
    """
    value, high = forecast["value"], forecast["high"]
    if value is None or high is None:  # then a goal is at risk that is a little behind its path
        return ceil(BEHIND * expected)
    between = ceil((value + high) / 2)
    return between if value < between <= high else ceil(BEHIND * value)


async def _waiting_goal(api: SampleApi, project_id: str, today: date) -> str:
    """A goal of the next month that the client has not answered."""
    level, target = CLICKS
    body = {
        "project_id": project_id,
        "title": WAITING_TITLE,
        "type": "traffic",
        "kpi": "clicks",
        "period": {"from": str(today + timedelta(days=1)), "to": str(today + timedelta(days=LENGTH))},
        "stated_baseline": {"value": level, "reason": "So many followed the link to the menu so far."},
        "target": target,
    }
    return str((await api.call("POST", "/v1/goals", body))["id"])


async def _client_page(api: SampleApi, contact_id: str, goal_id: str) -> str:
    """The path of the page on which the client's contact answers a goal."""
    made = await api.call(
        "POST",
        "/v1/client-links",
        {
            "contact_id": contact_id,
            "purpose": "agree",
            "subject_kind": "goal",
            "subject_id": goal_id,
            "expires_at": (datetime.now(UTC) + LINK_LASTS - timedelta(hours=1)).isoformat(),
        },
    )
    return "/s/" + str(made["link"]).rpartition("/")[2]


async def _expected(api: SampleApi, project_id: str, key: str, period: dict[str, str], today: date) -> float:
    """A KPI's value over the whole period, if its days to come are like those that are over."""
    window = f"from={period['from']}&to={today - timedelta(days=1)}"
    so_far = await api.call("GET", f"/v1/projects/{project_id}/kpis/{key}?{window}")
    return float(so_far["value"] or 0) * LENGTH / ELAPSED


async def _answer(api: SampleApi, contact_id: str, goal_id: str, answer: str, text: str) -> None:
    """The client's contact reads the latest revision behind a link, and answers."""
    client = SampleApi(api.http, api.url, "")
    path = await _client_page(api, contact_id, goal_id)
    page = await client.call("GET", path)
    statement = {"answer": answer, "content_hash": page["content_hash"], "text": text}
    await client.call("POST", f"{path}/statements", statement)


async def _measured(api: SampleApi, goal_id: str, revision: int) -> Any:
    """The progress of a goal by this revision, as soon as it is measured."""
    return await api.get_until(
        f"/v1/goals/{goal_id}/progress",
        lambda one: one["revision"] == revision and one["as_of"] is not None and one["forecast"] is not None,
        "a goal is not measured yet",
    )


async def _campaign(api: SampleApi, project_id: str, link_id: str, today: date) -> str:
    """A campaign with spend, to which the tracked link belongs."""
    campaign = await api.call(
        "POST",
        "/v1/campaigns",
        {
            "project_id": project_id,
            "type": "ad",
            "title": "Autumn beans",
            "from": str(today - timedelta(days=7)),
            "to": str(today + timedelta(days=6)),
            "budget": {"amount": "500.00", "currency": CURRENCY},
        },
    )
    path = f"/v1/campaigns/{campaign['id']}"
    await api.call("POST", f"{path}/links", {"link_id": link_id})
    for days, amount in SPEND:
        spend = {"day": str(today - timedelta(days=days)), "amount": amount, "currency": CURRENCY}
        await api.call("POST", f"{path}/spend", spend)
    done("an ad campaign runs, with what it has cost so far")
    return str(campaign["id"])


async def read(api: SampleApi, project_id: str, made: dict[str, Any]) -> Month:
    """The month as it stands now."""
    rows: list[tuple[str, str, str]] = []
    joined = await _joined(api, project_id)  # before the goals, which are measured again while this waits
    for goal_id in made["goals"]:
        one = await _measured(api, goal_id, (await api.call("GET", f"/v1/goals/{goal_id}"))["revision"])
        stands = f"{one['status']}, {str(one['pace']).replace('_', ' ')}"
        rows.append((one["title"], stands, goal_figures(one["value"], one["target"], one["forecast"]["value"])))
    correction = await api.call("GET", f"/v1/corrections/{made['correction']}")
    rows.append(
        (f"↳ {correction['change']}", f"correction {correction['status']}", f"review on {correction['review_on']}")
    )
    campaign = await api.call("GET", f"/v1/campaigns/{made['campaign']}")
    results = await api.call("GET", f"/v1/campaigns/{made['campaign']}/results")
    costs = results["costs"]
    (spent,) = costs["spend"]
    per_click, clicks = costs["per_click"]["value"], results["proven"]["clicks"]["people"]
    rows.append(
        (
            campaign["title"],
            f"{campaign['status']}, {spent['amount']} {spent['currency']}",
            f"{clicks} clicks at {per_click:.2f} {spent['currency']}",
        )
    )
    if "waiting" in made:  # not in what an earlier version has made
        goal = await api.call("GET", f"/v1/goals/{made['waiting']}")
        figures = f"from {_amount(goal['baseline']['level'])} to {_amount(goal['target'])}"
        rows.append((goal["title"], goal["status"], figures))
    rows.append(joined)
    directions = await api.call("GET", f"/v1/projects/{project_id}/directions?weeks=5")
    for one in directions["data"]:
        holders = ", ".join(each["name"] for each in one["holders"]) or "nobody"
        rows.append((one["title"], f"held by {holders}", f"{one['deeds']} deeds"))
    return Month(f"The month from {made['period']['from']} to {made['period']['to']}", rows, made.get("client_page"))


async def _joined(api: SampleApi, project_id: str) -> tuple[str, str, str]:
    """How many have joined since the platforms say so, by community; somebody has, but the call may be on its way."""
    path = f"/v1/projects/{project_id}/kpis/attracted_users"
    try:
        answer = await api.get_until(path, lambda one: one["value"] is not None, "nobody has joined yet")
    except SampleError:  # the days for which it is asked, the last 30, may all be without a call
        answer = await api.call("GET", path)
    each = [f"{one['platform']} {_amount(one['value'])}" for one in answer["breakdown"]]
    return "People who joined", f"{answer['status']}, {_amount(answer['value'])}", "; ".join(each)


def goal_figures(value: float | None, target: float, forecast: float | None) -> str:
    """What is printed of a goal's progress."""
    return f"{_amount(value)} of {_amount(target)}, forecast {_amount(forecast)}"


def _amount(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:,.0f}"
