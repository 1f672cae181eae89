"""How far the published content is from the mix that was agreed."""

from typing import Final

from app.kpis.contract import Doc, Kpi
from app.kpis.inputs.mix import CATEGORIES, CATEGORISED, Mix, MixOfPosts
from app.kpis.values import AddsUp, Direction, Excluded, GoalType, Term, Unit, Value

NO_CATEGORISED_POSTS: Final = "no-categorised-posts"
NO_CATEGORY: Final = "no-category"

_SYMBOLS: Final = tuple(f"{letter}_{number + 1}" for letter in "np" for number in range(len(CATEGORIES)))
_TITLES: Final = (
    *(f"Published {category.value} posts" for category in CATEGORIES),
    *(f"Per cent aimed at of {category.value} posts" for category in CATEGORIES),
)
_ALL: Final = "Published posts with a category"


def value(mix: Mix) -> Value:
    """The total variation distance of the published mix from the policy."""
    counts, without, policy = mix
    excluded = (Excluded(without, NO_CATEGORY),) if without else ()
    posts = sum(counts)
    if not posts:
        return Value(None, NO_CATEGORISED_POSTS, excluded=excluded)
    apart = sum(abs(100 * count - share * posts) for count, share in zip(counts, policy, strict=True))
    return Value(
        apart / (200 * posts),
        excluded=excluded,
        evidence=tuple(map(Term, (*_SYMBOLS, "n"), (*_TITLES, _ALL), (*counts, *policy, posts))),
    )


KPI: Final = Kpi(
    key="mix_deviation",
    title="Deviation from the content mix",
    unit=Unit.RATIO,
    goal=GoalType.PROCESS,
    version=1,
    direction=Direction.LOWER,
    adds_up=AddsUp.RATIO,
    most=1,
    measures=(MixOfPosts(),),
    value=value,
    evidence=(CATEGORISED,),
    doc=Doc(
        formula="The total variation distance between the categories' shares of the posts published within the window "
        "and those of the project's policy: half the sum of the absolute differences. 0.2: one post in five would need "
        "another category.",
        symbols="(|{n_1}/{n} - {p_1}/100| + |{n_2}/{n} - {p_2}/100| + "
        "|{n_3}/{n} - {p_3}/100| + |{n_4}/{n} - {p_4}/100|) / 2",
        source="Published posts with their categories; the version of the mix policy in force at the end of the "
        "window, 40/30/25/5 by default.",
        recount="Count the rows of each `category` and divide by the number of all rows; subtract the policy's share "
        "(`inputs` of the explanation, p_1 to p_4, in per cent); add up the differences without their signs, and halve "
        "the sum.",
        caveats=(
            "Posts without a category are excluded, and reported as such; posts deleted on the platform do not count.",
            "A later change of the policy does not change a past window; a later change of a post's category does.",
            "Few posts are seldom near any policy: of one post alone the deviation is 0.6 at the least by default.",
        ),
    ),
)
