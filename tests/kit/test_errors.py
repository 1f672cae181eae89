"""Which errors of the database are temporary, and which of them leave open whether a statement took effect."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from app.kit.errors import DatabaseFailure, Unavailable, database_failure, is_outage, is_refusal, is_unanswered

CONTENTION, CONNECTION_LOST, UNAVAILABLE = DatabaseFailure


def wrapped(orig: BaseException, *, invalidated: bool = False) -> DBAPIError:
    """A driver's error as SQLAlchemy raises it."""
    return DBAPIError("COMMIT", None, orig, connection_invalidated=invalidated)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (asyncpg.SerializationError(""), CONTENTION),
        (asyncpg.DeadlockDetectedError(""), CONTENTION),
        (asyncpg.LockNotAvailableError(""), CONTENTION),
        (asyncpg.ConnectionDoesNotExistError(""), CONNECTION_LOST),
        (asyncpg.ConnectionFailureError(""), CONNECTION_LOST),
        (asyncpg.AdminShutdownError(""), CONNECTION_LOST),
        (asyncpg.CrashShutdownError(""), CONNECTION_LOST),
        (asyncpg.CannotConnectNowError(""), CONNECTION_LOST),
        (asyncpg.QueryCanceledError(""), UNAVAILABLE),
        (asyncpg.TooManyConnectionsError(""), UNAVAILABLE),
        (asyncpg.DiskFullError(""), UNAVAILABLE),
        (asyncpg.PostgresIOError(""), UNAVAILABLE),
        (asyncpg.UniqueViolationError(""), None),
        (asyncpg.StatementCompletionUnknownError(""), None),
        (asyncpg.PostgresSyntaxError(""), None),
        (asyncpg.InsufficientPrivilegeError(""), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_answer_of_postgresql_by_its_sqlstate(error: asyncpg.PostgresError, failure: DatabaseFailure | None) -> None:
    for one in (error, wrapped(error)):
        assert database_failure(one) is failure
        assert is_outage(one) == (failure is not None)
    assert is_unanswered(wrapped(error)) == (failure is CONNECTION_LOST)
    assert is_refusal(wrapped(error)) == (failure in {None, CONTENTION})


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), FileNotFoundError()], ids=repr)
def test_a_server_that_cannot_be_reached(error: OSError) -> None:
    assert database_failure(error) is CONNECTION_LOST
    assert is_outage(error)
    assert is_unanswered(error)


def test_a_connection_that_broke_whatever_the_driver_says() -> None:
    for orig in (asyncpg.InterfaceError(""), asyncpg.UniqueViolationError("")):
        assert database_failure(wrapped(orig, invalidated=True)) is CONNECTION_LOST
        assert is_unanswered(wrapped(orig, invalidated=True))
        assert not is_refusal(wrapped(orig, invalidated=True))


def test_an_error_of_the_driver_is_no_outage_but_leaves_a_commit_unanswered() -> None:
    error = wrapped(asyncpg.InterfaceError(""))
    assert database_failure(error) is None
    assert not is_outage(error)
    assert not is_refusal(error)
    assert is_unanswered(error)


def test_errors_of_others_are_faults() -> None:
    assert is_outage(Unavailable("The server is out of reach."))
    assert not is_outage(ValueError())
