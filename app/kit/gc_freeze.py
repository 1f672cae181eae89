"""Shorter pauses by the garbage collector, which visits every live object and holds up all requests meanwhile."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing until `freeze`, or until the block ends: while code is loaded, nearly all new objects stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def freeze() -> None:
    """Exclude all objects that exist now from collection. To be called once, when a process has loaded its code."""
    gc.collect()
    gc.freeze()
    gc.enable()
