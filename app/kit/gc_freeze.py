"""Python's search for garbage, which walks through everything that is alive, and holds up all requests meanwhile."""

import gc


def freeze() -> None:
    """Leave what is there by now, and will be for good, out of every search. For a process of its own, once loaded."""
    gc.collect()
    gc.freeze()
