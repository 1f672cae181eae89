"""Processes that end with the one that started them, however that one ends.

The starter keeps the writing end of a pipe, the child reads the other. The kernel closes the pipe
when the starter dies, by SIGKILL too, and the child reads end of file. On Linux the kernel can also
send a signal by itself; that covers children that read no pipe.

`python -m app.cli.parent_watch MODULE ARGS…` runs a module like `python -m MODULE ARGS…`, tied to the
pipe whose number stands in `INSTEP_LIFELINE`.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable

VARIABLE = "INSTEP_LIFELINE"
TIED = "INSTEP_TIED"
GRACE = 15.0
"""Seconds a child has for its work in hand, once its starter is gone."""

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """What a child runs before `exec`, so that `number` reaches it when its parent dies (Linux only).

    To be made before the fork: a child must not load libraries.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os.kill(os.getpid(), number)

    return ask


def tie() -> None:
    """Ask this very process to stop when its parent dies, if `INSTEP_TIED` says so (Linux only).

    For `make`: it starts one command and cannot take it along when it is killed.
    """
    if os.environ.pop(TIED, "") and sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def attach(descriptor: int, *, grace: float = GRACE) -> None:
    """Ask this process to stop when `descriptor` ends; make it after `grace` seconds."""

    def watch() -> None:
        while os.read(descriptor, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def main() -> None:
    """Run the module named on the command line."""
    number = os.environ.pop(VARIABLE, "")
    if number:
        attach(int(number))
    module = sys.argv[1]
    del sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
