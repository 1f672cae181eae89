"""Random histories of a project as raw rows, and every KPI recounted from them.

The recounts know no SQL, no running sums and no code of the KPIs: they go through the rows and look at the wall clock
of the project's zone. A KPI without one in `RECOUNTS` fails `test_law.py`.
"""

import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from app.platforms.contract import Metric

ZONES: Final = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Auckland",
    "Asia/Kathmandu",
)
"""Clocks change in all but the last, within the days of a history: by an hour or half of one, at midnight too."""
NOW: Final = datetime(2026, 11, 5, 12, tzinfo=UTC)
LENGTH: Final = timedelta(days=45)
CHANNEL: Final = 2
"""The number of the channel."""
ENGAGED: Final = (Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES)
KINDS: Final = ("question", "problem", "thanks", "other")
MIX: Final = {"engaging": 40, "user_generated": 30, "educational": 25, "promotional": 5}
DEEDS: Final = {
    "posts.create": "content",
    "posts.update": "content",
    "posts.mark-published": "content",
    "campaigns.create": "promotion",
    "campaigns.update": "promotion",
    "spend.record": "promotion",
    "links.create": "promotion",
    "invite-links.create": "promotion",
    "promo-codes.create": "promotion",
    "inquiries.resolve": "community",
    "briefs.replace": "management",
    "goals.create": "management",
    "goals.update": "management",
    "corrections.create": "management",
    "client-links.create": "management",
}
NO_DEEDS: Final = ("inquiries.reply", "tokens.renew", "posts.delete", "answers.send")
ACTORS: Final = ("user:1", "user:2", "key:1", "job:communities.poll", "client:1", "command:doctor", "system:instep")
DELIVERIES: Final = ("queued", "sent", "failed", "outcome_unknown")
TOLERANCE: Final = 15 * 60
"""Seconds, as the words of `published_on_time` say."""


@dataclass(frozen=True)
class Inquiry:
    """An inquiry with the periods in which its customer waited and those until its resolutions."""

    id: uuid.UUID
    community: int
    opened_at: datetime
    kind: str
    handled_at: datetime | None


@dataclass(frozen=True)
class Wait:
    """A period of waiting."""

    inquiry: Inquiry
    started_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    by_answer: bool
    opening: bool
    seconds: int | None


@dataclass(frozen=True)
class Episode:
    """From an opening message to a resolution."""

    inquiry: Inquiry
    started_at: datetime
    resolved_at: datetime
    automatic: bool
    seconds: int


@dataclass(frozen=True)
class Post:
    """An item of the content plan."""

    community: int
    status: str
    category: str | None
    planned_at: datetime | None
    published_at: datetime | None


@dataclass(frozen=True)
class Click:
    """Somebody followed a link; `link`: that of a community, or None for the one of no community."""

    link: int | None
    at: datetime
    visitor: int
    bot: bool
    repeat: bool


@dataclass(frozen=True)
class Join:
    """Somebody joined, or left; `through`: the campaign whose invite link was used, None: none."""

    community: int
    at: datetime
    member: int
    through: int | None = None
    left: bool = False


@dataclass(frozen=True)
class Change:
    """An entry of the record of changes."""

    at: datetime
    actor: str
    action: str


@dataclass(frozen=True)
class Written:
    """A message of a thread."""

    community: int
    at: datetime
    direction: str
    automatic: bool
    delivery: str | None


@dataclass(frozen=True)
class Campaign:
    """A campaign with its spend, in kopecks by day; the link of community 0 belongs to the first one."""

    first: date
    last: date
    spend: Sequence[tuple[date, int]]

    def has(self, day: date) -> bool:
        """Whether a day counts: of the campaign, or of the 31 after it."""
        return self.first <= day <= self.last + timedelta(days=31)


@dataclass
class History:
    """The raw rows of a project. Communities are 0, 1 …"""

    zone: ZoneInfo
    targets_from: date | None
    policies: list[tuple[datetime, dict[str, int]]]
    communities: Sequence[int] = (0, 1, 2)
    """The last one is a channel: its platform gives no views, and says who joins."""
    sizes: list[tuple[int, datetime, int]] = field(default_factory=list)
    publications: list[tuple[uuid.UUID, int, datetime]] = field(default_factory=list)
    polls: list[tuple[int, datetime, dict[uuid.UUID, dict[Metric, int]]]] = field(default_factory=list)
    inquiries: list[Inquiry] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    clicks: list[Click] = field(default_factory=list)
    campaigns: list[Campaign] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    messages: list[Written] = field(default_factory=list)

    def day(self, at: datetime) -> date:
        """The local day of an instant."""
        return at.astimezone(self.zone).date()

    @property
    def today(self) -> date:
        """The day of `NOW`."""
        return self.day(NOW)


class Window:
    """Days of a history, in which instants are or are not; and the communities that count."""

    def __init__(self, history: History, of: Sequence[int | None], first: date, last: date) -> None:
        self.history = history
        self.of = of
        self.first = first
        self.last = last

    def has(self, at: datetime | None) -> bool:
        """Whether the instant is on one of these days."""
        return at is not None and self.first <= self.history.day(at) <= self.last

    def is_over_by(self, at: datetime) -> bool:
        """Whether the instant comes after these days, or has not come."""
        return self.history.day(at) > self.last or at > NOW


def history(chance: random.Random) -> History:
    """A random history; with luck much of it happens around the midnights of days on which clocks change."""
    zone = ZoneInfo(chance.choice(ZONES))
    changed = _changed_midnights(zone)

    def instant(after: datetime = NOW - LENGTH, until: datetime = NOW) -> datetime:
        near = [at for at in changed if after < at - timedelta(hours=2) and at + timedelta(hours=2) < until]
        if near and chance.random() < 0.35:
            return chance.choice(near) + timedelta(seconds=chance.randrange(-7000, 7000))
        return after + timedelta(seconds=chance.randrange(max(int((until - after).total_seconds()), 1)))

    made = History(
        zone=zone,
        targets_from=chance.choice((None, *((NOW - timedelta(days=days)).date() for days in (50, 30, 9)))),
        policies=sorted(
            ((instant(), _shares(chance)) for _ in range(chance.randrange(3))), key=lambda policy: policy[0]
        ),
    )
    for community in made.communities[:CHANNEL]:
        _add_figures(made, community, chance, instant)
        for _ in range(chance.randrange(14)):
            _add_inquiry(made, community, chance, instant)
        for _ in range(chance.randrange(10)):
            _add_post(made, community, chance, instant)
    _add_clicks(made, chance, instant)
    _add_campaigns(made, chance, instant)
    _add_joins(made, chance, instant)
    _add_deeds(made, chance, instant)
    return made


class Instant(Protocol):
    """Draws an instant."""

    def __call__(self, after: datetime = ..., until: datetime = ...) -> datetime: ...


def _changed_midnights(zone: ZoneInfo) -> list[datetime]:
    """The beginnings and ends of days on which the clock changes."""
    days = [(NOW - timedelta(days=number)).astimezone(zone).date() for number in range(LENGTH.days)]
    begins = {day: datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in days}
    ordered = sorted(begins)
    return [
        begins[day]
        for one, other in pairwise(ordered)
        if begins[other] - begins[one] != timedelta(days=1)
        for day in (one, other)
    ]


def _shares(chance: random.Random) -> dict[str, int]:
    cuts = sorted(chance.randrange(101) for _ in range(3))
    shares = [one - other for one, other in zip([*cuts, 100], [0, *cuts], strict=True)]
    return dict(zip(MIX, shares, strict=True))


def _add_figures(made: History, community: int, chance: random.Random, instant: Instant) -> None:
    instants = {instant() for _ in range(chance.randrange(25))}
    made.sizes += [(community, at, chance.randrange(1, 500)) for at in sorted(instants)]
    own = [(uuid.uuid4(), community, instant()) for _ in range(chance.randrange(5))]
    made.publications += own
    counters = {post: dict.fromkeys((*ENGAGED, Metric.VIEWS, Metric.REACH), 0) for post, _, _ in own}
    for at in sorted({instant() for _ in range(4)}):
        seen = {}
        for post, _, published_at in own:
            if published_at < at:
                for metric in counters[post]:
                    counters[post][metric] = max(counters[post][metric] + chance.randrange(-1, 9), 0)
                seen[post] = dict(counters[post])
        if seen:
            made.polls.append((community, at, seen))


def _add_inquiry(made: History, community: int, chance: random.Random, instant: Instant) -> None:
    opened_at = instant()
    handled_at = instant(opened_at) if chance.random() < 0.7 else None
    inquiry = Inquiry(uuid.uuid4(), community, opened_at, chance.choice(KINDS), handled_at)
    made.inquiries.append(inquiry)
    at, opening = opened_at, True
    for _ in range(chance.choice((1, 1, 2, 3))):
        ended_at = instant(at) if chance.random() < 0.8 else None
        by_answer = chance.random() < 0.7
        is_measured = made.targets_from is not None and made.day(at) >= made.targets_from
        due_at = at + timedelta(seconds=chance.randrange(60, 6 * 86400)) if is_measured else None
        if due_at is not None and ended_at is not None and chance.random() < 0.1:
            due_at = max(ended_at, at)
        seconds = chance.randrange(9000) if ended_at is not None else None
        made.waits.append(Wait(inquiry, at, due_at, ended_at, by_answer, opening, seconds))
        if ended_at is None:
            return
        resolved = not by_answer or chance.random() < 0.5
        if resolved:
            automatic = chance.random() < 0.3
            resolved_at = instant(ended_at) if by_answer else ended_at
            made.episodes.append(Episode(inquiry, at, resolved_at, automatic, chance.randrange(90000)))
            ended_at = resolved_at
        at, opening = instant(ended_at + timedelta(seconds=1), NOW + timedelta(seconds=2)), resolved
        if at >= NOW:
            return


def _add_post(made: History, community: int, chance: random.Random, instant: Instant) -> None:
    planned_at = instant(NOW - LENGTH, NOW + timedelta(days=3)) if chance.random() < 0.75 else None
    status = chance.choice(("draft", "planned", "published", "published", "published"))
    published_at = None
    if status == "published":
        published_at = instant()
        if planned_at is not None and planned_at < NOW - timedelta(hours=1):
            off = chance.choice((-TOLERANCE - 1, -TOLERANCE, -7, 0, 60, TOLERANCE, TOLERANCE + 1, 86400))
            published_at = min(planned_at + timedelta(seconds=off), NOW)
    category = chance.choice((None, *MIX))
    made.posts.append(Post(community, status, category, planned_at, published_at))


def _add_clicks(made: History, chance: random.Random, instant: Instant) -> None:
    step = LENGTH / 3
    for number in range(3):
        since = NOW - LENGTH + number * step
        pairs = {(chance.choice((None, *made.communities)), chance.randrange(6)) for _ in range(chance.randrange(9))}
        for link, visitor in sorted(pairs, key=str):
            at = instant(since, since + step - timedelta(seconds=30))
            made.clicks.append(Click(link, at, visitor, chance.random() < 0.25, repeat=False))
            if number == 2 and chance.random() < 0.3 and not made.clicks[-1].bot:
                made.clicks.append(Click(link, at + timedelta(seconds=1), visitor, bot=False, repeat=True))


def _add_campaigns(made: History, chance: random.Random, instant: Instant) -> None:
    """Two campaigns, of which the second has no tracked link; some have no spend."""
    for _ in range(2):
        first = made.day(instant()) - timedelta(days=chance.choice((0, 10, 40)))
        last = first + timedelta(days=chance.choice((0, 5, 20)))
        until = min(last + timedelta(days=31), made.today)
        days = [first + timedelta(days=chance.randrange((until - first).days + 1)) for _ in range(chance.randrange(5))]
        made.campaigns.append(Campaign(first, last, [(day, chance.randrange(1, 99999)) for day in days]))
    for member in range(chance.randrange(20)):
        made.joins.append(Join(CHANNEL, instant(), member % 12, chance.choice((None, 0, 0, 1))))
    # Since long ago it is known who joins.
    made.joins.append(Join(CHANNEL, NOW - 3 * LENGTH, 99))


def _add_joins(made: History, chance: random.Random, instant: Instant) -> None:
    """To the channel, and to the first community, whose platform does not say through which link it was."""
    for member in range(chance.randrange(16)):
        community, left = chance.choice((0, CHANNEL)), chance.random() < 0.3
        made.joins.append(Join(community, instant(), member % 9, left=left))
    polled = {at for community, at, _ in made.sizes if community == CHANNEL}  # once at any instant
    for at in [instant() for _ in range(chance.choice((0, 12)))]:
        if at not in polled:
            polled.add(at)
            made.sizes.append((CHANNEL, at, chance.randrange(100, 160)))


def _add_deeds(made: History, chance: random.Random, instant: Instant) -> None:
    """Changes and messages, of whoever; and what it takes to store the campaigns."""
    for _ in range(chance.randrange(40)):
        made.changes.append(Change(instant(), chance.choice(ACTORS), chance.choice((*DEEDS, *NO_DEEDS))))
    for _ in range(chance.randrange(25)):
        direction, delivery = chance.choice(("agency", "agency", "customer")), chance.choice((None, None, *DELIVERIES))
        at = instant(NOW - LENGTH - timedelta(days=3))
        made.messages.append(Written(chance.choice(made.communities), at, direction, chance.random() < 0.2, delivery))


def _gains(window: Window, *metrics: Metric) -> dict[int, int]:
    """What the communities' posts gained, of those of which it is known."""
    published = {post: at for post, _, at in window.history.publications}
    before: dict[tuple[uuid.UUID, Metric], int] = {}
    counting = [one for one in window.of if one is not None and (one != CHANNEL or Metric.VIEWS not in metrics)]
    gained: dict[int, list[int]] = {one: [] for one in counting}
    polled = set()
    for community, at, seen in sorted(window.history.polls, key=lambda poll: poll[1]):
        if window.has(at):
            polled.add(community)
        for post, counters in seen.items():
            for metric in metrics:
                # What was gained before the first poll counts for the day of publication.
                counted_at = at if (post, metric) in before else published[post]
                if community in gained and window.has(counted_at):
                    gained[community].append(counters[metric] - before.get((post, metric), 0))
                before[post, metric] = counters[metric]
    # Where posts were polled, but all for the first time, no poll says what these days added.
    return {one: sum(amounts) for one, amounts in gained.items() if amounts or one not in polled}


def _gained(window: Window, *metrics: Metric) -> float | None:
    gains = _gains(window, *metrics)
    return sum(gains.values()) if gains else None


def _sizes(window: Window, community: int, *, until_end: bool = False) -> list[tuple[datetime, int]]:
    own = sorted((at, size) for one, at, size in window.history.sizes if one == community)
    if until_end:
        return [(at, size) for at, size in own if window.history.day(at) <= window.last]
    return [(at, size) for at, size in own if window.has(at)]


def _seen(window: Window) -> list[int]:
    """The communities whose size was seen within the window."""
    return [one for one in window.of if one is not None and _sizes(window, one)]


def _growth(window: Window) -> tuple[int, int] | None:
    """Sizes at the start and at the end, of the communities seen within the window."""
    if not _seen(window):
        return None
    start = end = 0
    for one in _seen(window):
        within, until = _sizes(window, one), _sizes(window, one, until_end=True)
        earlier = until[: len(until) - len(within)]
        start += (earlier[-1] if earlier else within[0])[1]
        end += within[-1][1]
    return start, end


def _community_size(window: Window) -> float | None:
    latest = [_sizes(window, one, until_end=True)[-1:] for one in window.of if one is not None]
    known_sizes = [sizes[0][1] for sizes in latest if sizes]
    return sum(known_sizes) if known_sizes else None


def _net_growth(window: Window) -> float | None:
    growth = _growth(window)
    return None if growth is None else growth[1] - growth[0]


def _growth_rate(window: Window) -> float | None:
    growth = _growth(window)
    return None if growth is None else (growth[1] - growth[0]) / growth[0]


def _engagement_rate(window: Window) -> float | None:
    gains = _gains(window, *ENGAGED)
    counted = [one for one in _seen(window) if one in gains]
    average = 0.0
    for one in counted:
        by_day = {window.history.day(at): size for at, size in _sizes(window, one)}
        average += sum(by_day.values()) / len(by_day)
    return sum(gains[one] for one in counted) / average if counted else None


def _received(window: Window) -> list[Inquiry]:
    inquiries = window.history.inquiries
    return [one for one in inquiries if one.community in window.of and window.has(one.opened_at)]


def _waits(window: Window) -> Iterable[Wait]:
    return (wait for wait in window.history.waits if wait.inquiry.community in window.of)


def _answered(window: Window) -> list[tuple[int, int]]:
    """Working seconds, and seconds by the clock."""
    return [
        (wait.seconds, int((wait.ended_at - wait.started_at).total_seconds()))
        for wait in _waits(window)
        if wait.ended_at is not None and wait.seconds is not None
        if wait.opening and wait.by_answer and window.has(wait.ended_at)
    ]


def _resolved(window: Window) -> list[tuple[int, int]]:
    """Working seconds, and seconds by the clock."""
    return [
        (one.seconds, int((one.resolved_at - one.started_at).total_seconds()))
        for one in window.history.episodes
        if one.inquiry.community in window.of and not one.automatic and window.has(one.resolved_at)
    ]


def _median(took: list[tuple[int, int]], which: int = 0) -> float | None:
    return median(seconds[which] for seconds in took) if took else None


def _p90(took: list[tuple[int, int]]) -> float | None:
    """The smallest that 90 of 100 do not exceed."""
    working = sorted(seconds for seconds, _ in took)
    for candidate in working:
        if 10 * sum(one <= candidate for one in working) >= 9 * len(working):
            return candidate
    return None


def _lasts(wait: Wait, window: Window) -> bool:
    return wait.ended_at is None or window.is_over_by(wait.ended_at)


def _open_backlog(window: Window) -> float:
    return sum(window.history.day(wait.started_at) <= window.last and _lasts(wait, window) for wait in _waits(window))


def _is_late(wait: Wait) -> bool:
    """Whether nobody answered or resolved by when it was due, and that has come."""
    if wait.due_at is None or wait.due_at >= NOW:
        return False
    return wait.ended_at is None or wait.ended_at > wait.due_at


def _has_target(window: Window) -> bool:
    since = window.history.targets_from
    return since is not None and since <= window.last


def _within_target_rate(window: Window) -> float | None:
    if not _has_target(window):
        return None
    missed = sum(_is_late(wait) and window.has(wait.due_at) for wait in _waits(window))
    in_time = sum(
        wait.by_answer and wait.ended_at <= wait.due_at and window.has(wait.ended_at)
        for wait in _waits(window)
        if wait.ended_at is not None and wait.due_at is not None
    )
    return in_time / (in_time + missed) if in_time + missed else None


def _overdue(window: Window) -> float | None:
    if not _has_target(window):
        return None
    return sum(
        _is_late(wait)
        and wait.due_at is not None
        and window.history.day(wait.due_at) <= window.last
        and _lasts(wait, window)
        for wait in _waits(window)
    )


def _mix_deviation(window: Window) -> float | None:
    categories = [
        post.category
        for post in window.history.posts
        if post.status == "published" and post.community in window.of and window.has(post.published_at)
    ]
    counted = [category for category in categories if category is not None]
    if not counted:
        return None
    policies = [shares for since, shares in window.history.policies if window.history.day(since) <= window.last]
    shares = policies[-1] if policies else MIX
    return sum(abs(counted.count(name) / len(counted) - share / 100) for name, share in shares.items()) / 2


def _published_on_time(window: Window) -> float | None:
    outcomes = []
    for post in window.history.posts:
        if post.planned_at is None or post.status == "draft" or post.community not in window.of:
            continue
        if not window.has(post.planned_at):
            continue
        if post.published_at is not None:
            outcomes.append(abs((post.published_at - post.planned_at).total_seconds()) <= TOLERANCE)
        elif (NOW - post.planned_at).total_seconds() > TOLERANCE:
            outcomes.append(False)
    return sum(outcomes) / len(outcomes) if outcomes else None


def _clicks(window: Window, *, bot: bool) -> list[Click]:
    return [
        click
        for click in window.history.clicks
        if click.link in window.of and click.bot == bot and window.has(click.at)
    ]


def _clicks_per_post(window: Window) -> float | None:
    clicks = posts = 0
    for community in window.of:
        alone = Window(window.history, [community], window.first, window.last)
        own = sum(one == community and window.has(at) for _, one, at in window.history.publications)
        if own and community is not None:
            posts += own
            clicks += sum(not click.repeat for click in _clicks(alone, bot=False))
    return clicks / posts if posts else None


def _unique_visitors(window: Window) -> float:
    return len({click.visitor for click in _clicks(window, bot=False)})


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _first_joins(window: Window, *of: int) -> list[Join]:
    """First joins of these communities."""
    first: dict[tuple[int, int], Join] = {}
    for one in sorted(window.history.joins, key=lambda join: join.at):
        if not one.left and one.community in of:
            first.setdefault((one.community, one.member), one)
    return [one for one in first.values() if window.has(one.at)]


def _joins_of_campaigns(window: Window, *, with_spend: bool = False) -> list[Join]:
    """First joins through invite links, on days that count for their campaigns."""
    made = []
    for one in _first_joins(window, CHANNEL):
        campaign = None if one.through is None else window.history.campaigns[one.through]
        if campaign is not None and campaign.has(window.history.day(one.at)):
            made += [one] if campaign.spend or not with_spend else []
    return made


def _counting_joins(window: Window) -> list[int]:
    """The communities of which somebody had joined or left by the end of the window."""
    received = {one.community for one in window.history.joins if window.history.day(one.at) <= window.last}
    return [one for one in window.of if one in received and one is not None]


def _attracted_users(window: Window) -> float | None:
    of = _counting_joins(window)
    return len(_first_joins(window, *of)) if of else None


def _attributed(window: Window) -> float | None:
    return len(_joins_of_campaigns(window)) if CHANNEL in _counting_joins(window) else None


def _unexplained_growth(window: Window) -> float | None:
    """From the last poll of one day to that of the next polled one, against who joined and left in between."""
    history, parts = window.history, []
    for community in _counting_joins(window):
        last_of_days: dict[date, tuple[datetime, int]] = {}
        for at, size in sorted((at, size) for one, at, size in history.sizes if one == community):
            last_of_days[history.day(at)] = at, size
        changes = {(one.at, one.member, one.left) for one in history.joins if one.community == community}
        for (_, (since, before)), (day, (until, size)) in pairwise(sorted(last_of_days.items())):
            if window.first <= day <= window.last and min(at for at, _, _ in changes) <= since:
                net = sum(-1 if left else 1 for at, _, left in changes if since < at <= until)
                parts.append(size - before - net)
    return sum(parts) if parts else None


def _cost(window: Window, campaigns: Sequence[Campaign], amount: int) -> float | None:
    if None not in window.of or window.last < min(campaign.first for campaign in window.history.campaigns):
        return None
    days = [(day, kopecks) for campaign in campaigns for day, kopecks in campaign.spend]
    spent = [kopecks for day, kopecks in days if window.first <= day <= window.last]
    return sum(spent) / 100 / amount if spent and amount else None


def _cost_per_click(window: Window) -> float | None:
    campaign = window.history.campaigns[0]
    clicks = [
        click
        for click in window.history.clicks
        if click.link == 0 and not click.bot and not click.repeat and window.has(click.at)
        if campaign.spend and campaign.has(window.history.day(click.at))
    ]
    return _cost(window, [campaign], len(clicks))


def _click_through_rate(window: Window) -> float | None:
    views = {one: amount for one, amount in _gains(window, Metric.VIEWS).items() if amount}
    clicks = sum(click.link in views and not click.repeat for click in _clicks(window, bot=False))
    total = sum(views.values())
    return clicks / total if total > 0 else None


def _deeds(window: Window, direction: str | None = None) -> float | None:
    """Of the project alone: no community has a part of it."""
    if None not in window.of:
        return None
    history = window.history
    done = [
        DEEDS[change.action]
        for change in history.changes
        if change.actor.startswith(("user:", "key:")) and change.action in DEEDS and window.has(change.at)
    ]
    for message in history.messages:
        is_sent = message.delivery in {None, "sent"}
        if message.direction == "agency" and not message.automatic and is_sent and window.has(message.at):
            done.append("community")
    if window.has(NOW):  # the campaigns of the history are made over HTTP, with their invite links and their spend
        done += ["promotion"] * sum(2 + len(campaign.spend) for campaign in history.campaigns)
    return len(done) if direction is None else done.count(direction)


RECOUNTS: Final[dict[str, Callable[[Window], float | None]]] = {
    "community_size": _community_size,
    "net_growth": _net_growth,
    "growth_rate": _growth_rate,
    "reach": lambda window: _gained(window, Metric.VIEWS),
    "engagement": lambda window: _gained(window, *ENGAGED),
    "engagement_rate": _engagement_rate,
    "inquiries_received": lambda window: len(_received(window)),
    "inquiries_handled": lambda window: sum(
        one.community in window.of and window.has(one.handled_at) for one in window.history.inquiries
    ),
    "handled_rate": lambda window: _share(
        sum(one.handled_at is not None for one in _received(window)), len(_received(window))
    ),
    "thanks_share": lambda window: _share(
        sum(one.kind == "thanks" for one in _received(window)), len(_received(window))
    ),
    "first_response_time": lambda window: _median(_answered(window)),
    "resolution_time": lambda window: _median(_resolved(window)),
    "within_target_rate": _within_target_rate,
    "overdue": _overdue,
    "open_backlog": _open_backlog,
    "mix_deviation": _mix_deviation,
    "published_on_time": _published_on_time,
    "clicks": lambda window: sum(not click.repeat for click in _clicks(window, bot=False)),
    "bot_clicks": lambda window: len(_clicks(window, bot=True)),
    "unique_visitors": _unique_visitors,
    "clicks_per_post": _clicks_per_post,
    "click_through_rate": _click_through_rate,
    "attracted_users": _attracted_users,
    "cost_per_attracted_user": lambda window: _cost(
        window, window.history.campaigns, len(_joins_of_campaigns(window, with_spend=True))
    ),
    "cost_per_click": _cost_per_click,
    "direction_activity": _deeds,
}
VARIANTS: Final[dict[tuple[str, str], Callable[[Window], float | None]]] = {
    ("first_response_time", "p90"): lambda window: _p90(_answered(window)),
    ("first_response_time", "wall_clock"): lambda window: _median(_answered(window), 1),
    ("resolution_time", "p90"): lambda window: _p90(_resolved(window)),
    ("resolution_time", "wall_clock"): lambda window: _median(_resolved(window), 1),
    ("attracted_users", "attributed"): _attributed,
    ("attracted_users", "unexplained_growth"): _unexplained_growth,
    **{
        ("direction_activity", one): partial(_deeds, direction=one)
        for one in ("content", "promotion", "community", "management")
    },
}
OF_LINKS: Final = frozenset({"clicks", "bot_clicks", "unique_visitors"})
"""They have a line for links that belong to no community."""
OF_PROJECT: Final = frozenset({"cost_per_attracted_user", "cost_per_click", "direction_activity"})
"""They have that line alone."""


def recount(
    key: str, of: History, communities: Sequence[int | None], first: date, last: date, variant: str | None = None
) -> float | None:
    """The value of a KPI for these days, or the figure beside it; None where it is unknown."""
    if first > of.today:
        return None
    recounted = RECOUNTS[key] if variant is None else VARIANTS[key, variant]
    return recounted(Window(of, communities, first, last))
