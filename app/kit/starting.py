"""Why a process does not start; in a module of its own, which imports nothing: the command line starts with it."""


class StartRefused(RuntimeError):
    """The database is not one that this process may run on; the message says what to do."""
