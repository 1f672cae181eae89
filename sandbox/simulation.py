"""Simulated activity: customers follow, unfollow, react, write, and sometimes say thanks.

Every process has its own random generator, seeded by its subject, so that an effect from outside
changes only what follows from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import log
from random import Random
from typing import Final, TypeAlias, cast

from sandbox import texts
from sandbox.entities import Activity, Community, Entry
from sandbox.instants import DAY, HOUR, MINUTE, SECOND
from sandbox.ledger import Fields, Record
from sandbox.people import person
from sandbox.world import World


@dataclass(frozen=True, slots=True)
class EventIntervals:
    """Mean time between two events of a kind, in milliseconds."""

    follow: float
    unfollow: float
    post: float
    message: float
    mention: float
    stir: float
    """One more reaction, share, comment or view of a recent post."""


BUSY: Final = EventIntervals(
    follow=25 * SECOND,
    unfollow=80 * SECOND,
    post=20 * MINUTE,
    message=100 * SECOND,
    mention=6 * MINUTE,
    stir=7 * SECOND,
)

_FEATURE: Final = {"engaging": 1.3, "user_generated": 1.1, "educational": 0.9, "promotional": 0.5}
"""Factor of a category's engagement relative to the average."""
_RARE: Final[dict[Activity, int]] = {"save": 6, "quote": 20}
"""One in this many of those who react does this too, at most."""
_ANSWERED: Final = {"question": 0.85, "problem": 0.9, "thanks": 0.4, "other": 0.1}
"""The share of messages that the community answered in the simulated history."""


def calm(size: int) -> EventIntervals:
    """The intervals of an ordinary community; busy ones also have them in their history."""
    return EventIntervals(
        follow=DAY / (size * 0.012), unfollow=DAY / (size * 0.005), post=20 * HOUR, message=18 * HOUR,
        mention=4 * DAY, stir=20 * MINUTE,
    )  # fmt: skip


_Process: TypeAlias = Callable[[Community, Random], None]


class Simulation:
    """Schedules a world's activity."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.listeners.append(self._follow_up)

    def begin(self) -> None:
        """Write the world's first records, and start each community's processes."""
        self._world.write_beginning()
        for community in self._world.communities.values():
            self._write_history(community)
            self._repeat(community, "follow", self._add_follower)
            self._repeat(community, "unfollow", self._remove_follower)
            if "message" in community.profile.activities:
                self._repeat(community, "message", self._add_message)
            if "mention" in community.profile.activities:
                self._repeat(community, "mention", self._add_mention)
            self._repeat(community, "post", self._publish, after=self._world.born)
            if community.profile.busy:
                self._repeat(community, "stir", self._stir, after=self._world.born)

    # ── processes ─────────────────────────────────────────────────────────────────────────────

    def _rng(self, *about: object) -> Random:
        return Random(":".join(str(part) for part in (self._world.seed, *about)))  # noqa: S311 - simulation, not security

    def _repeat(self, c: Community, course: str, happening: _Process, after: int | None = None) -> None:
        """Run `happening` repeatedly, at exponentially distributed intervals of the community's mean."""
        world, rng = self._world, self._rng(c.key, course)
        before, since = calm(c.profile.size), BUSY if c.profile.busy else calm(c.profile.size)

        def next_after(at: int) -> int:
            if at < world.born:
                next_at = at + int(rng.expovariate(1 / getattr(before, course)))
                if next_at < world.born:
                    return next_at
                at = world.born  # the process is memoryless: restart at the new rate
            return at + int(rng.expovariate(1 / getattr(since, course)))

        def happen() -> None:
            happening(c, rng)
            world.later(next_after(world.now), happen)

        world.later(next_after(world.now if after is None else after), happen)

    def _write_history(self, c: Community) -> None:
        """Schedule about one post a day in daytime, and for a busy community two shortly before `born`."""
        world, rng = self._world, self._rng(c.key, "history")
        moments: list[int] = []
        for day in range(world.began + DAY, world.born - HOUR, DAY):
            moments.extend(day - day % DAY + int(rng.uniform(7, 18) * HOUR) for _ in range(rng.choice((0, 1, 1, 1, 2))))
        moments = [at for at in sorted(moments) if at < world.born - HOUR]
        if c.profile.busy:
            moments += [world.born - 34 * MINUTE, world.born - 9 * MINUTE]
        for at in moments:
            world.later(at, lambda: self._publish(c, rng))

    def _publish(self, c: Community, rng: Random) -> None:
        category = texts.category(rng)
        guest = person(self._somebody(c, rng), c.profile.language).first
        recent = {c.wall[one].text[:20] for one in c.posts[-12:]}
        for _ in range(8):
            text = texts.post(rng, c.profile.theme, c.profile.language, category, guest)
            if text[:20] not in recent:
                break
        self._world.emit("post", c, text=text, category=category)

    def _add_follower(self, c: Community, _: Random) -> None:
        self._world.emit("follow", c, person=c.number_of(c.latest_person + 1))

    def _remove_follower(self, c: Community, rng: Random) -> None:
        if len(c.followers) > 10:
            self._world.emit("unfollow", c, person=c.followers.pick(rng))

    def _add_message(self, c: Community, rng: Random) -> None:
        about = texts.kind(rng)
        recent_dialogs = list(c.dialogs)[-20:]
        writer = rng.choice(recent_dialogs) if recent_dialogs and rng.random() < 0.3 else self._somebody(c, rng)
        self._world.emit("message", c, person=writer, text=self._phrase(c, rng, about), kind=about)

    def _add_mention(self, c: Community, rng: Random) -> None:
        about = texts.kind(rng)
        self._world.emit("mention", c, person=self._somebody(c, rng), text=self._phrase(c, rng, about), kind=about)

    def _stir(self, c: Community, rng: Random) -> None:
        """Add a reaction, share, comment or view to a recent post."""
        if not c.posts:
            return
        recent = c.posts[-8:]
        post = c.wall[rng.choices(recent, [2.0**place for place in range(len(recent))])[0]]
        dice = rng.random()
        if "view" in c.profile.activities and dice < 0.35:
            self._view(c, post, rng.randint(2, 9), rng)
        elif dice < 0.82 or (dice < 0.88 and "share" not in c.profile.activities):
            self._react(c, post.id, self._somebody(c, rng))
        elif dice < 0.88:
            self._world.emit("share", c, id=str(post.id), person=self._somebody(c, rng))
        else:
            self._comment(c, post.id, rng)

    # ── engagement of one post ────────────────────────────────────────────────────────────────

    def _follow_up(self, record: Record, c: Community) -> None:
        match record["type"]:
            case "post":
                self._engage(c, c.wall[int(record["id"])])
            case "comment" | "mention" | "message":
                self._answer_as_of_old(record, c)
            case "reply" if record["origin"] != "world":
                self._be_thankful(record, c)

    def _engage(self, c: Community, post: Entry) -> None:
        """Schedule a post's reactions, shares, comments and views: most soon, the last after days."""
        world, rng = self._world, self._rng(c.key, "post", post.id)
        audience = max(len(c.followers), 50)
        total = audience * 0.03 * _FEATURE.get(post.category, 1.0) * rng.lognormvariate(0, 0.45)
        reader_count = min(max(int(total), 3), 160, audience // 2)
        for index in rng.sample(range(1, max(c.latest_person, 50) + 1), reader_count):
            at, person_number = post.at + _delay(rng), c.number_of(index)
            world.later(at, partial(self._react, c, post.id, person_number))
            if rng.random() < 0.05:
                world.later(at + _delay(rng), partial(self._unreact, c, post.id, person_number))
        for _ in range(rng.randint(0, 1 + reader_count // 10) if "share" in c.profile.activities else 0):
            world.later(post.at + _delay(rng), lambda: self._share(c, post.id, rng))
        for _ in range(rng.randint(0, 1 + reader_count // 12)):
            world.later(post.at + _delay(rng), lambda: self._comment(c, post.id, rng))
        if "view" in c.profile.activities:
            views = int(audience * rng.uniform(0.25, 0.6))
            for _ in range(24):
                world.later(post.at + _delay(rng), lambda: self._view(c, post, max(views // 24, 1), rng))

        for habit, one_in in _RARE.items():
            if habit in c.profile.activities:
                own = self._rng(c.key, habit, post.id)
                for _ in range(own.randint(0, 1 + reader_count // one_in)):
                    world.later(post.at + _delay(own), partial(self._pick_out, habit, c, post.id, own))

    def _pick_out(self, habit: Activity, c: Community, post_id: int, rng: Random) -> None:
        """Save or quote a post."""
        if post_id in c.wall:
            self._world.emit(habit, c, id=str(post_id), person=self._somebody(c, rng))

    def _react(self, c: Community, post_id: int, person_number: int) -> None:
        post = c.wall.get(post_id)
        if post is not None and person_number not in post.reactors:
            self._world.emit("reaction", c, id=str(post_id), person=person_number)

    def _unreact(self, c: Community, post_id: int, person_number: int) -> None:
        post = c.wall.get(post_id)
        if post is not None and person_number in post.reactors:
            self._world.emit("reaction_removed", c, id=str(post_id), person=person_number)

    def _share(self, c: Community, post_id: int, rng: Random) -> None:
        if post_id in c.wall:
            self._world.emit("share", c, id=str(post_id), person=self._somebody(c, rng))

    def _view(self, c: Community, post: Entry, views: int, rng: Random) -> None:
        if not post.deleted:
            self._world.emit("view", c, id=str(post.id), count=views, unique=max(int(views * rng.uniform(0.6, 0.9)), 1))

    def _comment(self, c: Community, post_id: int, rng: Random) -> None:
        if post_id in c.wall:
            about = texts.kind(rng)
            self._world.emit(
                "comment", c, post=str(post_id), person=self._somebody(c, rng),
                text=self._phrase(c, rng, about), kind=about,
            )  # fmt: skip

    # ── conversations ─────────────────────────────────────────────────────────────────────────

    def _answer_as_of_old(self, record: Record, c: Community) -> None:
        """In the history before `born` the community answers most messages; after it, none."""
        world, rng = self._world, self._rng(c.key, "answer", record["type"], record["id"])
        topic = cast("texts.Kind", record.get("kind", "other"))
        at = world.now + max(int(rng.lognormvariate(log(25 * MINUTE), 1.0)), MINUTE)
        if record["origin"] != "world" or at >= world.born or rng.random() > _ANSWERED[topic]:
            return
        message_text = texts.answer(rng, c.profile.theme, c.profile.language, topic)

        def answer() -> None:
            if record["type"] == "message":
                world.emit("reply", c, via="message", person=record["person"], parent=record["id"], text=message_text)
            elif world.entry(c, int(record["id"])) is not None:
                below = Fields(via=record["type"], parent=record["id"], text=message_text)
                if "post" in record:
                    below["post"] = record["post"]
                world.emit("reply", c, **below)

        world.later(at, answer)

    def _be_thankful(self, record: Record, c: Community) -> None:
        """After half of the replies the customer says thanks, one to three minutes later."""
        world, rng = self._world, self._rng(c.key, "thanks", record["via"], record["id"])
        if rng.random() > 0.5:
            return
        message_text = self._phrase(c, rng, "thanks")

        def thank() -> None:
            if record["via"] == "message":
                world.emit("message", c, person=record["person"], text=message_text, kind="thanks")
                return
            ours, to = world.entry(c, int(record["id"])), world.entry(c, int(record.get("parent", "0")))
            if ours is None or to is None or to.person is None:
                return
            if ours.post is not None:
                world.emit(
                    "comment",
                    c,
                    post=str(ours.post),
                    parent=str(ours.id),
                    person=to.person,
                    text=message_text,
                    kind="thanks",
                )
            else:
                world.emit("mention", c, parent=str(ours.id), person=to.person, text=message_text, kind="thanks")

        world.later(world.now + int(rng.uniform(60, 180) * SECOND), thank)

    def _phrase(self, c: Community, rng: Random, about: texts.Kind) -> str:
        return texts.customer(rng, c.profile.theme, c.profile.language, about)

    def _somebody(self, c: Community, rng: Random) -> int:
        """A random person: mostly a follower, sometimes not."""
        if len(c.followers) and rng.random() < 0.85:
            return c.followers.pick(rng)
        return c.number_of(900_000 + rng.randrange(50_000))


def _delay(rng: Random) -> int:
    """A random delay after a post, in milliseconds: mostly within an hour, rarely days."""
    dice = rng.random()
    mean = 22 * MINUTE if dice < 0.68 else 3 * HOUR if dice < 0.95 else 30 * HOUR
    return 2 * SECOND + int(rng.expovariate(1 / mean))
