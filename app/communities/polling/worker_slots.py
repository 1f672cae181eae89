"""A platform that hangs takes some of a worker's places, never all of them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final
from weakref import WeakKeyDictionary

from app.kit.http import Client
from app.kit.jobs import Run, Snooze

MOST: Final = 20
"""So many jobs of a worker call one API at once; it has room for more than twice as many."""
SHORTLY: Final = timedelta(seconds=2)

_at_work: WeakKeyDictionary[Client, Counter[str]] = WeakKeyDictionary()
"""Jobs that are calling, by API, for each worker's client."""


@contextmanager
def place(run: Run, base_url: str) -> Iterator[None]:
    """A place at an API; `Later` where all are taken. While it answers, places are free again soon."""
    assert run.resources.http is not None
    calling = _at_work.setdefault(run.resources.http, Counter())
    if calling[base_url] >= MOST:
        raise Snooze(run.now + SHORTLY, f"{MOST} jobs are calling {base_url} already")
    calling[base_url] += 1
    try:
        yield
    finally:
        calling[base_url] -= 1
        if not calling[base_url]:
            del calling[base_url]
