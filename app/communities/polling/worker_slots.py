"""A limit on the jobs of a worker that call one API at once, so that an API that hangs cannot block the worker."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from app.kit.cache import OnePer
from app.kit.http import Client
from app.kit.jobs import Run, Snooze

MAX_PER_API: Final = 20
"""Jobs of a worker that call one API at once; a worker runs more than twice as many."""
RETRY_AFTER: Final = timedelta(seconds=2)

_calling: Final = OnePer[Client, Counter[str]](lambda _: Counter())
"""The number of jobs that are calling, by base URL, for each worker's HTTP client."""


@contextmanager
def slot(run: Run, base_url: str) -> Iterator[None]:
    """Occupy a slot of an API; raises `Snooze` where all are taken."""
    assert run.resources.http is not None
    calling = _calling(run.resources.http)
    if calling[base_url] >= MAX_PER_API:
        raise Snooze(run.now + RETRY_AFTER, f"{MAX_PER_API} jobs are calling {base_url} already")
    calling[base_url] += 1
    try:
        yield
    finally:
        calling[base_url] -= 1
        if not calling[base_url]:
            del calling[base_url]
