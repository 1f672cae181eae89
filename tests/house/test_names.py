"""Names do not contain refused words."""

import pytest

from tests.house.names import AREAS, EXCEPTIONS, PENDING, ROOT, RULES, Name, names, parts, refused, standing, too_many


@pytest.mark.parametrize("area", AREAS)
def test_no_word_comes_back(area: str) -> None:
    """Where fewer are left than stored: python -m tests.house.names --write."""
    assert too_many(standing(area), PENDING[area]) == []


def test_what_is_pending_is_refused_otherwise() -> None:
    assert PENDING.keys() == AREAS.keys()
    assert {word for counts in PENDING.values() for word in counts} <= RULES.keys()


def test_every_exception_stands_where_it_is_said_to() -> None:
    for path, name in EXCEPTIONS:
        files = [ROOT / path] if path.endswith(".py") else list((ROOT / path).rglob("*.py"))
        assert any(one.name == name for file in files for one in names(path, file.read_text())), (path, name)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class Doorkeeper: ...", "Doorkeeper"),
        ("class LinkDoorkeeper: ...", "Doorkeeper"),
        ("def is_told(): ...", "told"),
        ("async def f(told): ...", "told"),
        ("def f(*, told=1): ...", "told"),
        ("def f(*told): ...", "told"),
        ("f = lambda told: 1", "told"),
        ("told: int = 1", "told"),
        ("class A:\n told_at: Mapped[datetime]", "told"),
        ("self.told = 1", "told"),
        ("for told in x: ...", "told"),
        ("with x as told: ...", "told"),
        ("[1 for told, b in x]", "told"),
        ("(told := 1)", "told"),
        ("import payload as told", "told"),
        ("try: ...\nexcept E as told: ...", "told"),
        ("match x:\n case A(b=told): ...", "told"),
        ('sa.Column("told", sa.Text())', "told"),
        ('op.create_table("told", x)', "told"),
        ('class A:\n __tablename__ = "told"', "told"),
        ('Counter("instep_events_told", "…")', "told"),
        ("TOLD = 1", "told"),
        ("class ToldPayload: ...", "told"),
        ("class _Waiting: ...", "Waiting"),
        ("class Again: ...", "Again"),
        ("MOST = 3", "MOST"),
        ("looks_code = 1", "looks"),
    ],
)
def test_a_word_that_comes_back_is_found(source: str, expected: str) -> None:
    assert {word for name in names("app/communities/x.py", source) for word in refused(name)} == {expected}


@pytest.mark.parametrize(
    "source",
    [
        '"""What was told."""',
        "told.payload(1)",
        "f(told=1)",
        "def test_what_is_told(): ...",
        "class WaitingMessage: ...",
        "MOST_EVENTS = 3",
        "untold = 1",
        "household = 1",
        "again = 1",
        'x = "told"',
    ],
)
def test_prose_uses_and_other_words_are_none(source: str) -> None:
    assert [word for name in names("app/communities/x.py", source) for word in refused(name)] == []


def test_a_module_has_a_name_too_and_some_words_belong_to_rooms() -> None:
    assert [refused(name) for name in names("app/platforms/vk/walks.py", "")] == [{"walks"}]
    assert refused(Name("app/metrics/x.py", 1, "baseline")) == {"baseline"}
    assert refused(Name("app/kpis/x.py", 1, "baseline")) == set()
    assert refused(Name("tests/metrics/test_x.py", 1, "baseline")) == {"baseline"}


def test_a_pending_word_may_only_shrink() -> None:
    places = {"told": [Name("app/x.py", 1, "told"), Name("app/x.py", 2, "is_told")]}
    assert too_many(places, {"told": 2}) == too_many(places, {"told": 3}) == []
    assert len(too_many(places, {"told": 1})) == len(too_many(places, {})) == 2


def test_a_name_is_split_as_it_is_read() -> None:
    assert parts("HTTPError") == parts("http_error") == parts("httpError") == ["http", "error"]
    assert parts("_MOST2Things") == ["most", "2", "things"]
