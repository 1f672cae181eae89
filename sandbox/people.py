"""Simulated persons, computed from their number, so that none has to be stored."""

from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Literal

Language = Literal["en", "ru"]

_FIRST: dict[Language, tuple[tuple[str, str], ...]] = {
    "en": (
        ("Alice", "alice"), ("Ben", "ben"), ("Chloe", "chloe"), ("Daniel", "daniel"), ("Emma", "emma"),
        ("Frank", "frank"), ("Grace", "grace"), ("Henry", "henry"), ("Isla", "isla"), ("Jack", "jack"),
        ("Kate", "kate"), ("Liam", "liam"), ("Mia", "mia"), ("Noah", "noah"), ("Olive", "olive"),
        ("Peter", "peter"), ("Ruby", "ruby"), ("Sam", "sam"), ("Tessa", "tessa"), ("Will", "will"),
    ),
    "ru": (
        ("Анна", "anna"), ("Борис", "boris"), ("Вера", "vera"), ("Глеб", "gleb"), ("Дарья", "daria"),
        ("Егор", "egor"), ("Зоя", "zoya"), ("Иван", "ivan"), ("Кира", "kira"), ("Лев", "lev"),
        ("Мария", "maria"), ("Никита", "nikita"), ("Ольга", "olga"), ("Павел", "pavel"), ("Рита", "rita"),
        ("Семён", "semyon"), ("Таня", "tanya"), ("Фёдор", "fedor"), ("Юлия", "yulia"), ("Яков", "yakov"),
    ),
}  # fmt: skip
_LAST: dict[Language, tuple[tuple[str, str], ...]] = {
    "en": (
        ("Archer", "archer"), ("Bell", "bell"), ("Carter", "carter"), ("Dale", "dale"), ("Ellis", "ellis"),
        ("Ford", "ford"), ("Gray", "gray"), ("Hughes", "hughes"), ("Irwin", "irwin"), ("Jones", "jones"),
        ("King", "king"), ("Lane", "lane"), ("Moss", "moss"), ("North", "north"), ("Owens", "owens"),
        ("Park", "park"), ("Reed", "reed"), ("Stone", "stone"), ("Turner", "turner"), ("Wood", "wood"),
    ),
    "ru": (
        ("Бондаренко", "bondarenko"), ("Вайс", "vais"), ("Гончар", "gonchar"), ("Дюма", "duma"), ("Живаго", "zhivago"),
        ("Зима", "zima"), ("Коваль", "koval"), ("Лис", "lis"), ("Мельник", "melnik"), ("Новак", "novak"),
        ("Орлик", "orlik"), ("Пастернак", "pasternak"), ("Рерих", "rerikh"), ("Савченко", "savchenko"),
        ("Ткач", "tkach"), ("Усик", "usik"), ("Франк", "frank"), ("Хома", "khoma"), ("Шевчук", "shevchuk"),
        ("Яблоко", "yabloko"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated user. `username` is unique; `following` and `followers` are only shown on the profile."""

    number: int
    first: str
    last: str
    username: str
    followers: int
    following: int

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


@lru_cache(maxsize=4096)
def person(number: int, language: Language) -> Person:
    """The person with that number; always the same for the same arguments."""
    rng = Random(f"person:{number}")  # noqa: S311 - a name is no secret
    first, first_latin = rng.choice(_FIRST[language])
    last, last_latin = rng.choice(_LAST[language])
    return Person(
        number=number,
        first=first,
        last=last,
        username=f"{first_latin}_{last_latin}_{number}",
        followers=int(rng.lognormvariate(4.5, 1.0)),
        following=int(rng.lognormvariate(4.8, 0.8)),
    )
