"""PostgreSQL: the base of all tables, transactions, and read connections.

`Database.transaction` is for changes: one transaction, committed when its block ends, rolled back when
it raises. `commit` is called in this file alone. `Database.read_connection` is for reads: a connection
in autocommit, without the round trips of a transaction.

Both are bound to one workspace. PostgreSQL's row-level security compares every row with the setting
`app.workspace_id`; where it is not set, no row of a workspace is visible. They may be bound to some of its
projects too, for an actor who works on these alone: rows of a project are compared with `app.project_ids`.
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar

import asyncpg
import orjson
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Date,
    DateTime,
    ForeignKeyConstraint,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    event,
    func,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from app.kit import telemetry
from app.kit.actors import SYSTEM, Actor
from app.kit.clock import Clock, SystemClock
from app.kit.deadlines import REQUESTS, Deadlines
from app.kit.errors import CommitOutcomeUnknown, NotFound, invalid_field, is_locked, is_unanswered
from app.kit.ids import uuid7
from app.kit.starting import StartRefused

AfterCommit = Callable[[], Awaitable[None]]
BeforeCommit = Callable[[AsyncSession], Awaitable[None]]


class Base(DeclarativeBase):
    """Base of all models. Text is unbounded (request bodies are bounded), instants are aware and finite.

    PostgreSQL has an `infinity` of timestamps and dates, which Python cannot represent: one such row would break
    every list that contains it. So each timestamp and date column gets a check constraint.
    """

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text(),
        int: BigInteger(),
        datetime: DateTime(timezone=True),
        uuid.UUID: UUID(as_uuid=True),
        dict[str, Any]: JSONB(),
        list[Any]: JSONB(),
    }

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        table = vars(cls).get("__table__")
        if isinstance(table, Table):
            for column in table.columns:
                if isinstance(column.type, DateTime | Date):
                    table.append_constraint(CheckConstraint(func.isfinite(column), name=f"{column.name}_is_finite"))


class Owned:
    """A row of a workspace, whose id is part of the primary key: no foreign key can cross workspaces."""

    workspace_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, sort_order=-20)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-19)


class Audited:
    """A row whose changes are recorded with its values before and after (`access.audit.snapshot`).

    Only the columns named here are recorded: no secret, and nothing that a customer wrote or is called.
    """

    AUDITED: ClassVar[tuple[str, ...]] = ()
    """Columns whose values are recorded."""
    DIGESTED: ClassVar[tuple[str, ...]] = ()
    """Columns of which only a hash and the length are recorded."""


M = TypeVar("M", bound=Owned)


def belongs_to(table: str, column: str, *, ondelete: str = "CASCADE") -> ForeignKeyConstraint:
    """A foreign key within the workspace: `belongs_to("project", "project_id")`."""
    return ForeignKeyConstraint(
        ["workspace_id", column],
        [f"{table}.workspace_id", f"{table}.id"],
        ondelete=ondelete,
    )


Projects = Collection[uuid.UUID] | None
"""The projects whose rows are visible, besides the rows that belong to no project; None: all of the workspace."""


def _array(projects: Projects) -> str:
    """A PostgreSQL array, or an empty text for all projects."""
    return "" if projects is None else "{" + ",".join(map(str, sorted(projects))) + "}"


class _WorkspaceConnection(asyncpg.Connection):
    """Sets the workspace, and the projects, in the same round trip that begins a transaction."""

    workspace_id: uuid.UUID | None = None
    projects: Projects = None

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        if self.workspace_id is not None and query.startswith("BEGIN"):
            query = f"{query} SET LOCAL app.workspace_id = '{self.workspace_id}'"
            if self.projects is not None:
                query = f"{query}; SET LOCAL app.project_ids = '{_array(self.projects)}'"
        status: str = await super().execute(query, *args, **options)
        return status

    async def set_type_codec(self, *args: Any, **options: Any) -> None:
        """Called by SQLAlchemy for each new connection, which it does not close where this fails."""
        try:
            await super().set_type_codec(*args, **options)
        except BaseException:
            self.terminate()
            raise


class Database:
    """One PostgreSQL database, connected to as the runtime role."""

    def __init__(
        self, url: str, *, pool: int = 10, clock: Clock | None = None, deadlines: Deadlines = REQUESTS
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        reads: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
        self._write = _engine(url, pool, deadlines)
        self._read = _engine(url, pool, deadlines, **reads)
        # A pool of its own where no workspace is ever set: looking up an API key needs no round trip to unset one.
        self._look_up = _engine(url, pool, deadlines, **reads)
        telemetry.POOLS.watch(self)

    @asynccontextmanager
    async def transaction(
        self, workspace_id: uuid.UUID | None, actor: Actor = SYSTEM, *, projects: Projects = None
    ) -> AsyncIterator[AsyncSession]:
        """One transaction of an actor in a workspace (None: in the tables that belong to none).

        With `projects` the rows of all others are invisible, and none can be written.

        Nothing is sent before the first statement. The calls registered by `before_commit` run in the transaction,
        after its block; those registered by `after_commit` run after the commit, and never where it certainly failed.
        Raises `CommitOutcomeUnknown` where the connection breaks
        between COMMIT and PostgreSQL's answer.
        """
        calls: list[AfterCommit] = []
        try:
            async with self._write.connect() as connection:
                driver_connection = pooled(connection).driver_connection
                assert isinstance(driver_connection, _WorkspaceConnection)
                driver_connection.workspace_id, driver_connection.projects = workspace_id, projects
                async with AsyncSession(bind=connection, expire_on_commit=False, autoflush=True) as session:
                    before: list[BeforeCommit] = []
                    session.info.update(
                        workspace_id=workspace_id,
                        actor=actor,
                        now=self.clock.now(),
                        before_commit=before,
                        after_commit=calls,
                    )
                    yield session
                    await session.flush()  # an error here is certainly before the commit
                    for last_call in before:
                        await last_call(session)
                    with _committing():
                        await session.commit()
        except CommitOutcomeUnknown:
            await _run(calls)
            raise
        await _run(calls)

    @asynccontextmanager
    async def read_connection(
        self, workspace_id: uuid.UUID | None, *, projects: Projects = None
    ) -> AsyncIterator[AsyncConnection]:
        """An autocommit connection for reads in a workspace (None: of the tables that belong to none).

        With `projects` the rows of all others are invisible. Each statement sees what is committed. The workspace
        and the projects stay set on the pooled connection, and are recorded in its `info`: using the same again
        costs no round trip, and different ones are set before any other statement.
        """
        if workspace_id is None:
            async with self._look_up.connect() as connection:
                yield connection
            return
        async with self._read.connect() as connection:
            info, visible = pooled(connection).info, (workspace_id, _array(projects))
            if info.get("visible") != visible:
                # Cleared first: a cancelled SET must not be recorded as done.
                info.pop("visible", None)
                await connection.execute(_SET_VISIBLE, {"id": str(workspace_id), "projects": visible[1]})
                info["visible"] = visible
            yield connection

    @asynccontextmanager
    async def autocommit_connection(self, workspace_id: uuid.UUID) -> AsyncIterator[AsyncConnection]:
        """Like `read_connection`, for one statement that writes: it commits itself, in one round trip.

        Raises `CommitOutcomeUnknown` where the connection breaks before PostgreSQL has answered.
        """
        async with self.read_connection(workspace_id) as connection:
            with _committing():
                yield connection

    @asynccontextmanager
    async def read_session(self, workspace_id: uuid.UUID) -> AsyncIterator[AsyncSession]:
        """Like `read_connection`, as an ORM session, for reads by functions that take one. Must not be written to."""
        async with (
            self.read_connection(workspace_id) as connection,
            AsyncSession(bind=connection, expire_on_commit=False, autoflush=False) as session,
        ):
            session.info.update(workspace_id=workspace_id, now=self.clock.now())
            yield session

    def pools(self) -> dict[str, tuple[int, int]]:
        """The size of each pool, and how many of its connections are in use (`telemetry.Pooled`)."""
        engines = {"write": self._write, "read": self._read, "look_up": self._look_up}
        pools = {name: engine.pool for name, engine in engines.items()}
        return {name: (pool.size(), pool.checkedout()) for name, pool in pools.items() if isinstance(pool, QueuePool)}

    async def close(self) -> None:
        """Close all connections."""
        await self._write.dispose()
        await self._read.dispose()
        await self._look_up.dispose()

    async def require_unprivileged_role(self) -> None:
        """Raise `PrivilegedRoleError` where the current role bypasses row-level security."""
        async with self.read_connection(None) as connection:
            row = (
                await connection.execute(
                    text("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
                )
            ).one()
        if row.rolsuper or row.rolbypassrls:
            raise PrivilegedRoleError(
                f"DATABASE_URL connects as {row.rolname!r}, which row-level security does not bind. "
                "Use an ordinary role: NOSUPERUSER NOBYPASSRLS, not the owner of the tables."
            )


def pooled(connection: AsyncConnection) -> PoolProxiedConnection:
    """The pool's connection of an open `connection`.

    `AsyncConnection.get_raw_connection` returns the same, at the cost of a switch to another greenlet.
    """
    assert connection.sync_connection is not None, "the connection is not open"
    return connection.sync_connection.connection


async def _run(calls: Sequence[AfterCommit]) -> None:
    for call in calls:
        await call()


class PrivilegedRoleError(StartRefused):
    """The runtime role could read every workspace."""


@contextmanager
def _committing() -> Iterator[None]:
    """Raise `CommitOutcomeUnknown` in place of an error that is not PostgreSQL's own answer to the commit."""
    try:
        yield
    except (DBAPIError, OSError, TimeoutError) as error:
        if is_unanswered(error):
            raise CommitOutcomeUnknown from error
        raise


_SET_VISIBLE = text(
    "SELECT set_config('app.workspace_id', :id, false), set_config('app.project_ids', :projects, false)"
)


def _engine(url: str, pool: int, deadlines: Deadlines, **options: Any) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=deadlines.pool,
        json_serializer=_dumps,
        hide_parameters=True,  # they hold customers' texts and tokens, which must not get into errors and logs
        connect_args={
            "connection_class": _WorkspaceConnection,
            "timeout": deadlines.connect,
            "command_timeout": deadlines.silence,
            # A `Statement` is prepared once for each connection, however long it is: all KPIs in one are four times as
            # long as asyncpg would keep by default, and PostgreSQL would plan it at each request.
            "max_cacheable_statement_size": 0,
            "server_settings": {
                "timezone": "UTC",
                "application_name": "instep",
                "jit": "off",
                # Lists of what a table's constraints rule out are answered without reading.
                "constraint_exclusion": "on",
                **deadlines.server_settings(),
            },
        },
        **options,
    )
    event.listen(engine.sync_engine, "handle_error", _without_rows)
    event.listen(engine.sync_engine, "handle_error", _give_up_silent_server)
    return engine


def _without_rows(context: ExceptionContext) -> None:
    """Remove the row that PostgreSQL quotes in an error: a traceback would show it."""
    cause = context.original_exception.__cause__
    if isinstance(cause, asyncpg.PostgresError):
        cause.detail = None


def _give_up_silent_server(context: ExceptionContext) -> None:
    """Close a connection whose server did not answer in time: its state is unknown, and closing it may hang too."""
    if isinstance(context.original_exception, TimeoutError):
        context.is_disconnect = True
        if context.connection is not None:
            connection = context.connection.connection.driver_connection
            assert isinstance(connection, asyncpg.Connection)
            connection.terminate()


def _dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()


def now(session: AsyncSession) -> datetime:
    """The instant this transaction began: the same for all its rows."""
    at: datetime = session.info["now"]
    return at


def in_the_future(session: AsyncSession, field: str, at: datetime | None) -> None:
    """Raise `Invalid` (`not-in-the-future`) where `at`, the value of the body's `field`, has passed."""
    if at is not None and at <= now(session):
        raise invalid_field(field, "not-in-the-future", "This instant has passed: give a later one.")


def workspace_of(session: AsyncSession) -> uuid.UUID:
    """The workspace of this session's transaction."""
    workspace_id: uuid.UUID = session.info["workspace_id"]
    assert workspace_id is not None, "this transaction has no workspace"
    return workspace_id


def actor_of(session: AsyncSession) -> Actor:
    """The actor of this session's transaction, for subscribers to events: service functions are passed one."""
    actor: Actor = session.info["actor"]
    return actor


def before_commit(session: AsyncSession, call: BeforeCommit) -> None:
    """Run `call` in this transaction once its block has ended, with everything flushed; an error rolls it back."""
    session.info["before_commit"].append(call)


def after_commit(session: AsyncSession, call: AfterCommit) -> None:
    """Run `call` after this transaction's commit, also where the outcome of the commit is unknown.

    It must not raise, and must do no harm where nothing was committed.
    """
    session.info["after_commit"].append(call)


def in_workspace(model: type[Owned], workspace_id: uuid.UUID) -> ColumnElement[bool]:
    """The filter that every query of a workspace's rows has, in addition to row-level security."""
    return model.workspace_id == workspace_id


_BY_ID: Final[dict[tuple[type[Owned], bool], Select[Any]]] = {}
"""Built once for each model: building a statement costs more than sending it."""


async def fetch(session: AsyncSession, model: type[M], row_id: uuid.UUID, *, for_update: bool = False) -> M:
    """The row with this id in this workspace; `NotFound` where there is none, even if another workspace has it."""
    query = _BY_ID.get((model, for_update))
    if query is None:
        query = select(model).where(model.workspace_id == bindparam("workspace"), model.id == bindparam("row_id"))
        if for_update:
            # A row read before the lock may be stale. Without its key: rows that point to it may be added meanwhile.
            query = query.with_for_update(of=model, key_share=True).execution_options(populate_existing=True)
        _BY_ID[model, for_update] = query
    row: M | None = await session.scalar(query, {"workspace": workspace_of(session), "row_id": row_id})
    if row is None:
        raise NotFound
    return row


def _lock_id(key: Sequence[object]) -> ColumnElement[int]:
    """The number of the advisory lock of a key: values, or columns of the statement that takes the lock."""
    parts = [part if isinstance(part, ColumnElement) else literal(str(part)) for part in key]
    return func.hashtextextended(func.concat_ws(literal("\x1f"), *parts), literal_column("0"))


def locking(*key: object) -> ColumnElement[None]:
    """An expression that takes the advisory lock of `key` until the transaction ends, waiting for it."""
    return func.pg_advisory_xact_lock(_lock_id(key))


async def lock(session: AsyncSession, *key: object) -> None:
    """Take the advisory lock of `key` until this transaction ends, waiting for it."""
    await session.execute(select(locking(*key)))


async def try_lock(session: AsyncSession, *key: object) -> bool:
    """Take the advisory lock of `key` until this transaction ends; False where another transaction has it."""
    return bool(await session.scalar(select(func.pg_try_advisory_xact_lock(_lock_id(key)))))


class Locked(Exception):
    """Another transaction has locked what a block of `without_waiting` needs."""


NO_WAIT: Final = timedelta(milliseconds=50)
"""A lock that is not free within this time counts as held: far less than the server needs to look for a deadlock."""


@asynccontextmanager
async def without_waiting(session: AsyncSession) -> AsyncIterator[None]:
    """A block that waits for no other transaction: where it needs a lock that another one has, nothing of it is done.

    For what a job can do later just as well. What was loaded within the block has to be loaded anew after `Locked`.

    Raises:
        Locked: another transaction has locked what the block needs.
    """
    try:
        async with session.begin_nested():
            await session.execute(text(f"SET LOCAL lock_timeout = '{NO_WAIT // timedelta(milliseconds=1)}ms'"))
            yield
            await session.flush()
            await session.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    except DBAPIError as error:
        if not is_locked(error):
            raise
        raise Locked from error
