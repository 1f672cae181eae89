"""The figures of the story, counted again from the server's ledger and from what the test did.

Nothing of the code under test is used: the forecast, its interval, the scorecard, the effect of a correction and the
growth above the expected path are computed here once more, as docs/forecast.md, docs/attribution.md and decision 34
have them in words.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise
from math import ceil
from statistics import fmean, median
from typing import Any, Final

import pytest

from sandbox import recount
from sandbox.ledger import Record
from tests.goals.figures import Figures, under
from tests.goals.recounted_arithmetic import DAY, Click, Deed, Forecast, Terms, above_expected, days, with_interval

ALL: Final = "all"
"""All communities of the project, and what belongs to none."""
DIRECTIONS: Final = ("content", "promotion", "community", "management")


class Recount:
    """The story, counted again."""

    def __init__(
        self,
        terms: Terms,
        records: Sequence[Record],
        clicks: Sequence[Click],
        spend: dict[date, float],
        deeds: Sequence[Deed],
        today: date,
    ) -> None:
        self.terms, self.records, self.today = terms, records, today
        self.people = [one for one in clicks if not one.bot]
        self.bots = [one for one in clicks if one.bot]
        self.spend = spend
        self.deeds = list(deeds)
        self.received_at: dict[str, datetime] = {}
        self.thanks = 0
        for one in recount.customer_messages(records, terms.community_key, 0, 4_000_000_000_000):
            self.received_at[one["id"]] = self.local(one["at"])
            assert one["kind"] == "question", "nobody says thanks in this story"
        answered = recount.answered(records, terms.community_key, 4_000_000_000_000)
        self.answered = {message: self.local(at) for message, at in answered.items()}
        self.written = [
            self.local(one["at"]).date() for one in recount.answers(records, terms.community_key, 0, 4_000_000_000_000)
        ]
        self.reactions = Counter(
            self.local(one["at"]).date()
            for one in records
            if one["type"] == "reaction" and one.get("community") == terms.community_key
        )
        self.posts = [self.local(one["at"]).date() for one in records if one["type"] == "post"]
        self.handled_by_day = Counter(at.date() for at in self.answered.values())

    def local(self, at: str) -> datetime:
        """An instant of the ledger by the project's clock."""
        return datetime.fromisoformat(at).astimezone(self.terms.zone)

    def handled(self, first: date, last: date) -> int:
        """How many customers got their first answer on these days."""
        return sum(self.handled_by_day[day] for day in days(first, last))

    def size(self, day: date) -> int:
        """The followers at the end of a day."""
        start = datetime(day.year, day.month, day.day, tzinfo=self.terms.zone)
        end = round((start + DAY).timestamp() * 1000) - 1
        return recount.size(self.records, self.terms.community_key, end)

    # ── progress ──

    def forecast(self, made_on: date, for_day: date) -> Forecast:
        """What was handled at the end of a day, as it could be foreseen at the end of another."""
        begin = max(self.terms.known_since, made_on - 119 * DAY)
        values = [float(self.handled_by_day[day]) for day in days(begin, made_on)]
        made, done = with_interval(values, (for_day - made_on).days), self.handled(self.terms.first, made_on)
        return Forecast(done + made.value, done + made.low, done + made.high)

    def forecasts(self, made_on: date) -> dict[date, Forecast]:
        """The forecasts that are kept of a day: for the end, and for seven days ahead."""
        if not self.terms.first <= made_on < self.terms.last:
            return {}
        ahead = made_on + 7 * DAY
        of = [self.terms.last, *([ahead] if ahead < self.terms.last else [])]
        return {day: self.forecast(made_on, day) for day in of}

    def scorecard(self, at_end_of: date) -> Figures:
        """How many kept forecasts are of days that are over, and how many intervals held the truth."""
        judged = within = 0
        for made_on in days(self.terms.first, at_end_of):
            for day, made in self.forecasts(made_on).items():
                if day <= at_end_of:
                    judged += 1
                    within += made.low <= self.handled(self.terms.first, day) <= made.high
        return {("judged",): judged, ("within",): within, ("share",): within / judged if judged else None}

    def expected(self, day: date) -> float:
        """Where the even path is at the end of a day: the weeks before had too few answers for a season."""
        whole = (self.terms.last - self.terms.first).days + 1
        return self.terms.target * ((day - self.terms.first).days + 1) / whole

    def pace(self, day: date) -> str:
        """By the forecast for the end of the period."""
        value, target = self.handled(self.terms.first, day), self.terms.target
        if value >= target or day == self.terms.last:
            return "met" if value >= target else "missed"
        made = self.forecast(day, self.terms.last)
        return "on_track" if made.value >= target else "at_risk" if made.high >= target else "off_track"

    def progress(self, answer: Any) -> Figures:
        """The figures of a goal's progress, as of the day that it names."""
        day = date.fromisoformat(answer["day"])
        made: Figures = {("target",): self.terms.target, ("baseline",): self.terms.baseline}
        made |= under(("scorecard",), self.scorecard(day))
        has_begun = day >= self.terms.first
        made["value",] = self.handled(self.terms.first, day) if has_begun else None
        made["expected",] = self.expected(day) if has_begun else None
        made |= under(("forecast",), dict.fromkeys(((one,) for one in ("value", "low", "high", "history_days")), None))
        if has_begun and day < self.terms.last:
            foreseen = self.forecast(day, self.terms.last)
            made |= {("forecast", one): getattr(foreseen, one) for one in ("value", "low", "high")}
            made["forecast", "history_days"] = min((day - self.terms.known_since).days + 1, 120)
        for place, point in enumerate(answer.get("series", ())):
            of = date.fromisoformat(point["day"])
            if of >= self.terms.first:
                made["series", place, "value"] = self.handled(self.terms.first, of)
                made["series", place, "expected"] = self.expected(of)
                assert point["pace"] == self.pace(of), point
        assert answer["pace"] == (self.pace(day) if has_begun else "unknown")
        return made

    def goal(self, answer: Any) -> Figures:
        """The figures of a goal's terms."""
        return {("target",): self.terms.target, ("baseline", "level"): self.terms.baseline}

    # ── the correction ──

    def effect(self, answer: Any) -> Figures:
        """The days after the change and as many before it, and how they differ where nothing was changed."""
        length = self.terms.review_on - self.terms.changed_on

        def sides(middle: date) -> tuple[int, int]:
            return self.handled(middle - length, middle - DAY), self.handled(middle, middle + length - DAY)

        before, after = sides(self.terms.changed_on)
        middles = [self.terms.changed_on - length - number * DAY for number in range(60)]
        moves = sorted(sides(one)[1] - sides(one)[0] for one in middles if one - length >= self.terms.known_since)
        rank = ceil(len(moves) * 0.9) - 1
        return {
            ("effect", "before", "value"): before,
            ("effect", "after", "value"): after,
            ("effect", "difference"): after - before,
            ("effect", "usual_difference"): median(moves),
            ("effect", "low"): after - before - moves[rank],
            ("effect", "high"): after - before - moves[len(moves) - 1 - rank],
            ("effect", "compared"): len(moves),
        }

    # ── the campaign ──

    def growth(self) -> dict[date, int]:
        """The growth of each day whose size is known, as that of the day before is."""
        read = days(self.terms.connected, self.today - DAY)
        return {day: self.size(day) - self.size(before) for before, day in pairwise(read)}

    def estimate(self, first: date, last: date) -> Forecast | None:
        """The growth above the expected path on the campaign's days within these."""
        begin, end = self.terms.campaign
        of = [day for day in days(begin, end) if first <= day <= last and day < self.today]
        return above_expected(self.growth(), days(begin - 28 * DAY, begin - DAY), of)

    def results(self, answer: Any) -> Figures:
        """The figures of a campaign's results."""
        begin, end = self.terms.campaign
        spent, clicks = sum(self.spend.values()), len(self.people)
        estimate, growth = self.estimate(begin, end), self.growth()
        assert estimate is not None
        of_day = {day: growth[day] for day in days(begin, end)}
        made: Figures = {
            ("proven", "clicks", "people"): clicks,
            ("costs", "spend", 0, "amount"): spent,
            ("costs", "budget", "amount"): self.terms.budget,
            ("costs", "remaining", "amount"): self.terms.budget - spent,
            ("costs", "per_click", "value"): spent / clicks,
        }
        for path in (("estimated",), ("estimated", "communities", 0)):
            made |= under(path, {(one,): getattr(estimate, one) for one in ("value", "low", "high")})
        grown = sum(of_day.values())
        before = [day for day in days(begin - 28 * DAY, begin - DAY) if day in growth]
        of_community: dict[str, float] = {"growth": grown, "expected": grown - estimate.value}
        of_community |= {"days": len(of_day), "history": len(before)}
        return made | {("estimated", "communities", 0, name): value for name, value in of_community.items()}

    # ── directions ──

    def deeds_of(self, direction: str, first: date, last: date) -> int:
        """What was done in a direction on these days; answers are those of the ledger."""
        if direction == "community":
            return sum(first <= day <= last for day in self.written)
        return sum(first <= one.day <= last and one.direction == direction for one in self.deeds)

    def directions(self, answer: Any) -> Figures:
        """The figures of a project's directions."""
        made: Figures = {}
        for place, one in enumerate(answer["data"]):
            name, weeks = one["direction"], []
            for number, week in enumerate(one["weeks"]):
                first = date.fromisoformat(week["from"])
                weeks.append(self.deeds_of(name, first, first + 6 * DAY))
                made["data", place, "weeks", number, "deeds"] = weeks[-1]
            made["data", place, "deeds"] = sum(weeks)
            for number, kind in enumerate(one["by_deed"]):
                action = kind["deed"]
                count = sum(each.action == action for each in self.deeds)
                made["data", place, "by_deed", number, "deeds"] = sum(weeks) if action == "answers.send" else count
            existed = [
                number
                for number, week in enumerate(one["weeks"][:-1])
                if date.fromisoformat(week["from"]) > self.terms.connected
            ]
            quiet = 0
            while not weeks[-1] and quiet < min(len(existed), 4) and not weeks[existed[-1 - quiet]]:
                quiet += 1
            made["data", place, "quiet_weeks"] = quiet
        return made

    # ── KPIs ──

    def kpi(self, key: str, first: date, last: date, of: str | None = ALL, variant: str | None = None) -> float | None:
        """A KPI over these days: of the community (its id), of what belongs to none (None), or of all."""
        name = f"_{key}" if variant is None else f"_{key}__{variant}"
        if key == "direction_activity":
            return self._activity(first, last, variant)
        if key == "attracted_users" and variant is not None:
            if variant in {"attributed", "unexplained_growth"}:
                return None  # a Mastodon server tells nobody's joins
            estimate = self.estimate(first, last)
            bound = {"estimated_growth": "value", "estimated_low": "low", "estimated_high": "high"}[variant]
            return None if estimate is None else float(getattr(estimate, bound))
        if key in OF_LINKS and of not in {ALL, None}:
            return None
        count = getattr(self, name, None)
        return None if count is None else count(first, last)

    def _community_size(self, first: date, last: date) -> float | None:
        return None if last < self.terms.connected else self.size(last)

    def _sizes(self, first: date, last: date) -> tuple[int, int] | None:
        """At the start and the end; on the day of connection the first one read is the start."""
        if last < self.terms.connected:
            return None
        return self.size(max(first, self.terms.connected) - DAY), self.size(last)

    def _net_growth(self, first: date, last: date) -> float | None:
        sizes = self._sizes(first, last)
        return sizes and sizes[1] - sizes[0]

    def _growth_rate(self, first: date, last: date) -> float | None:
        sizes = self._sizes(first, last)
        return sizes and (sizes[1] - sizes[0]) / sizes[0]

    def _engagement(self, first: date, last: date) -> float | None:
        return None if last < self.terms.connected else sum(self.reactions[day] for day in days(first, last))

    def _average_size(self, first: date, last: date) -> float:
        return fmean(self.size(day) for day in days(max(first, self.terms.connected), last))

    def _engagement_rate(self, first: date, last: date) -> float | None:
        engagement = self._engagement(first, last)
        return None if engagement is None else engagement / self._average_size(first, last)

    def _received(self, first: date, last: date) -> list[str]:
        return [message for message, at in self.received_at.items() if first <= at.date() <= last]

    def _inquiries_received(self, first: date, last: date) -> float:
        return len(self._received(first, last))

    def _inquiries_handled(self, first: date, last: date) -> float:
        return self.handled(first, last)

    def _handled_rate(self, first: date, last: date) -> float | None:
        of = self._received(first, last)
        return sum(message in self.answered for message in of) / len(of) if of else None

    def _thanks_share(self, first: date, last: date) -> float | None:
        return 0 if self._received(first, last) else None

    def _open_backlog(self, first: date, last: date) -> float:
        return len(self._received(date.min, last)) - self.handled(self.terms.known_since, last)

    def _waits(self, first: date, last: date) -> list[tuple[float, float]]:
        """Of those who were answered on these days: how long they waited by the clock, and in working time."""
        made = []
        for message, at in self.answered.items():
            if first <= at.date() <= last:
                received_at = self.received_at[message]
                assert received_at.date() == at.date()
                assert 9 <= received_at.hour < 18 > at.hour, "within the working hours of a weekday"
                seconds = (at - received_at).total_seconds()
                made.append((seconds, seconds if at.weekday() < 5 else 0))
        return made

    def _first_response_time(self, first: date, last: date) -> float | None:
        waits = self._waits(first, last)
        return median(working for _, working in waits) if waits else None

    def _first_response_time__wall_clock(self, first: date, last: date) -> float | None:
        waits = self._waits(first, last)
        return median(clock for clock, _ in waits) if waits else None

    def _first_response_time__p90(self, first: date, last: date) -> float | None:
        waits = sorted(working for _, working in self._waits(first, last))
        return waits[ceil(len(waits) * 0.9) - 1] if waits else None

    def _clicks(self, first: date, last: date) -> float | None:
        return None if last < self.terms.connected else sum(first <= one.day <= last for one in self.people)

    def _bot_clicks(self, first: date, last: date) -> float | None:
        return None if last < self.terms.connected else sum(first <= one.day <= last for one in self.bots)

    def _unique_visitors(self, first: date, last: date) -> float | None:
        if last < self.terms.connected:
            return None
        return len({one.visitor for one in self.people if first <= one.day <= last})

    def _spent(self, first: date, last: date) -> float:
        return sum(amount for day, amount in self.spend.items() if first <= day <= last)

    def _cost_per_click(self, first: date, last: date) -> float | None:
        spent, clicks = self._spent(first, last), self._clicks(first, last)
        return spent / clicks if spent and clicks else None

    def _activity(self, first: date, last: date, direction: str | None) -> float | None:
        if last < self.terms.connected:
            return None
        return sum(self.deeds_of(one, first, last) for one in DIRECTIONS if direction in {None, one})

    def of_kpi(self, answer: Any) -> Figures:
        """The figures of a KPI's answer by day."""
        key, made = answer["key"], Figures()
        first, last = (date.fromisoformat(answer["window"][end]) for end in ("from", "to"))
        before = first - (last - first) - DAY, first - DAY
        made |= self._value(key, answer, first, last)
        made |= under(("previous",), self._value(key, answer["previous"], *before))
        made["previous", "change"] = self._change(key, (first, last), before)
        for place, (point, day) in enumerate(zip(answer.get("series", ()), days(first, last), strict=False)):
            made |= under(("series", place), self._value(key, point, day, day))
        assert len(answer.get("series", ())) in {0, len(days(first, last))}
        for place, line in enumerate(answer.get("breakdown", ())):
            made |= under(("breakdown", place), self._value(key, line, first, last, line["community_id"]))
        made |= self._left_out(key, answer, first, last)
        if "coverage" in answer:
            assert [line["community_id"] for line in answer["breakdown"]] == self._lines(key)
            made |= self._coverage(key, first, last)
        return made

    def _value(self, key: str, value: Any, first: date, last: date, of: str | None = ALL) -> Figures:
        made: Figures = {("value",): self.kpi(key, first, last, of)}
        return made | {("variants", one): self.kpi(key, first, last, of, one) for one in value["variants"]}

    def _change(self, key: str, of: tuple[date, date], before: tuple[date, date]) -> float | None:
        now, earlier = self.kpi(key, *of), self.kpi(key, *before)
        if self._coverage(key, *of) != self._coverage(key, *before):
            return None  # not the same is known of both
        return (now - earlier) / abs(earlier) if now is not None and earlier else None

    def _lines(self, key: str) -> list[str | None]:
        """The ids of the communities that a KPI has a value of; None: of what belongs to none."""
        own: list[str | None] = [] if key in OF_PROJECT else [self.terms.community_id]
        return [*own, None] if key in OF_LINKS | OF_PROJECT else own

    def _coverage(self, key: str, first: date, last: date) -> Figures:
        lines = self._lines(key)
        seen = 0
        for line in lines:
            since = self._known_since(key, line)
            if since is not None:
                seen += max((last - max(since, first)).days + 1, 0)
        return {("coverage", "expected"): len(lines) * len(days(first, last)), ("coverage", "seen"): seen}

    def _known_since(self, key: str, line: str | None) -> date | None:
        if key in NEVER or (key in OF_LINKS and line is not None):
            return None
        return self.terms.campaign[0] if key == "cost_per_click" else self.terms.connected

    def explained(self, answer: Any) -> Figures:
        """The figures of a KPI's explanation; those in the formula's words are among its inputs."""
        key = answer["key"]
        first, last = (date.fromisoformat(answer["window"][end]) for end in ("from", "to"))
        made = self._value(key, answer, first, last)
        for place, one in enumerate(answer["inputs"]):
            made["inputs", place, "amount"] = self._input(key, one["symbol"], first, last)
        text = answer["formula"]["with_amounts"]
        for number in re.findall(r"\d+(?:\.\d+)?", text or ""):
            inputs = [one for path, one in made.items() if path[0] in {"value", "inputs"} and one is not None]
            assert any(float(number) == pytest.approx(one, rel=1e-5) for one in inputs), (key, text)
        # Where the formula is a single amount, its text is a number.
        made["formula", "with_amounts"] = made["value",] if text == f"{made['value',]}" else None
        made |= self._left_out(key, answer, first, last)
        return made | self._coverage(key, first, last)

    def _left_out(self, key: str, answer: Any, first: date, last: date) -> Figures:
        """What is left out on purpose: bots' clicks, and of the mix posts that nobody gave a category."""
        amount = self._bot_clicks(first, last) if key == "clicks" else None
        if key == "mix_deviation":
            amount = sum(first <= day <= last for day in self.posts)
        names = [name for name in ("excluded", "adjustments") if name in answer]
        return {(name, 0, "amount"): amount or None for name in names}

    def _input(self, key: str, symbol: str, first: date, last: date) -> float | None:
        match symbol:
            case "N_start" | "N_end":
                sizes = self._sizes(first, last)
                return sizes and sizes[symbol == "N_end"]
            case "S":
                return self._average_size(first, last)
            case "E":
                return self._engagement(first, last)
            case "H":
                if key == "inquiries_handled":
                    return self.handled(first, last)
                return sum(one in self.answered for one in self._received(first, last))
            case "R":
                return self._inquiries_received(first, last)
            case "T" | "I" | "P":
                return 0
            case "M":
                return self._spent(first, last)
            case "n":
                return len(self._waits(first, last))
            case "p90":
                return self._first_response_time__p90(first, last)
            case "C" if key == "first_response_time":
                return self._first_response_time__wall_clock(first, last)
            case "C":
                return self._clicks(first, last)
            case "D_1" | "D_2" | "D_3" | "D_4":
                return self._activity(first, last, DIRECTIONS[int(symbol[-1]) - 1])
        return self.kpi(key, first, last)


OF_PROJECT: Final = frozenset({"cost_per_click", "cost_per_attracted_user", "direction_activity"})
OF_LINKS: Final = frozenset({"clicks", "bot_clicks", "unique_visitors"})
NEVER: Final = frozenset(
    {
        *("attracted_users", "cost_per_attracted_user", "reach", "overdue", "within_target_rate"),
        *("click_through_rate", "clicks_per_post"),
    }
)
"""KPIs of which nothing can be known here: no joins, no views, no target, and a link of no community."""
