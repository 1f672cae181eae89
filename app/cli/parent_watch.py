"""Child processes that end with their parent, however it ends.

The parent holds the writing end of a pipe, the child reads the other. The kernel closes the pipe when
the parent dies, also by SIGKILL, and the child reads end of file. On Linux the kernel can also send a
signal to the child; that is for children that read no pipe.

`python -m app.cli.parent_watch MODULE ARGS…` runs a module like `python -m MODULE ARGS…`, and
stops it at the end of the pipe whose descriptor is in `INSTEP_PARENT_PIPE`.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable

PIPE_VARIABLE = "INSTEP_PARENT_PIPE"
TIED_VARIABLE = "INSTEP_TIED"
GRACE = 15.0
"""Seconds between SIGTERM and the forced end of a child whose parent has died."""

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """A function that a child calls before `exec`, so that it receives the signal when its parent dies (Linux only).

    To be created before the fork: the child must not load libraries.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def request_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os.kill(os.getpid(), number)

    return request_signal


def stop_with_parent() -> None:
    """Receive SIGTERM when the parent dies, if `INSTEP_TIED` is set (Linux only).

    For `make`, which cannot stop its command when it is killed.
    """
    if os.environ.pop(TIED_VARIABLE, "") and sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def watch_pipe(descriptor: int, *, grace: float = GRACE) -> None:
    """Send SIGTERM to this process when the pipe ends, and exit `grace` seconds later (in a thread)."""

    def watch() -> None:
        while os.read(descriptor, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main() -> None:
    """Run the module named on the command line."""
    descriptor = os.environ.pop(PIPE_VARIABLE, "")
    if descriptor:
        watch_pipe(int(descriptor))
    module = sys.argv[1]
    del sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
