"""Names do not contain refused words."""

from pathlib import Path

import pytest

from tests.house.names import AREAS, EXCEPTIONS, ROOT, Name, complaints, names, parts, refused


@pytest.mark.parametrize("area", AREAS)
def test_no_word_comes_back(area: str) -> None:
    assert complaints(area) == []


def test_a_planted_word_is_complained_of(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "x.py").write_text("is_told = payload = 1\n")
    assert complaints("code", tmp_path) == ["app/x.py:1 is_told: for 'told' say payload, pushed"]


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


def test_a_name_is_split_as_it_is_read() -> None:
    assert parts("HTTPError") == parts("http_error") == parts("httpError") == ["http", "error"]
    assert parts("_MOST2Things") == ["most", "2", "things"]
