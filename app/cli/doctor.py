"""`instep doctor`: checks this installation, and says how to fix what is wrong."""

import importlib.metadata
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.cli.database import asyncpg_url
from app.cli.environment import SecretKeyLost, first_line, has_database, settings_without_faults, variable
from app.cli.findings import Finding, failing, ok, warning
from app.cli.migrate import heads, known_revisions
from app.cli.variables import unread
from app.kit import mail
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import Database
from app.projects.zones import unexpected
from app.settings import DEVELOPMENT_KEY, Settings
from migrations.session import refusal

MAX_CLOCK_SKEW = timedelta(seconds=2)
HEARTBEAT_TIMEOUT = timedelta(seconds=30)
"""A worker sends a heartbeat every five seconds."""
MAX_LATENESS = timedelta(minutes=5)
MIN_FREE_BYTES = 1024**3
LOCK_FILE = Path(__file__).resolve().parents[2] / "requirements.lock"
TIMEOUT = 5.0


async def check_installation(data: Path) -> list[Finding]:
    """Run all checks; a check that cannot be run is a finding as well.

    One fault hides no other: where a setting is refused, the checks that do without it are run all the same.
    """
    findings = [*check_python(), *check_packages(LOCK_FILE), *check_disk(data), *check_variables()]
    settings, faults, refused = settings_without_faults()
    stopped = has_database(data) and "database_url" in refused
    if stopped:
        findings.append(failing("servers", f"the embedded servers in {data} do not run", "start them with `instep up`"))
        faults = [
            fault for fault in faults if not fault.startswith(("DATABASE_URL is missing", "REDIS_URL is missing"))
        ]
    findings.extend(failing("settings", fault, "set it in the environment or in .env") for fault in faults)
    if not faults and not stopped:
        findings.append(ok("settings", f"complete, for {settings.environment}"))
    findings.extend(check_key_file(data))
    named = {name for name in ("secret_keys", "public_url") if any(f"INSTEP_{name.upper()} " in one for one in faults)}
    findings.extend(check_settings(settings, refused | named))
    if "database_url" not in refused:
        findings.extend([finding async for finding in check_database(settings)])
    if "redis_url" not in refused:
        findings.extend([finding async for finding in check_redis(settings)])
    findings.append(await check_mail(settings))
    return findings


def check_variables() -> Iterator[Finding]:
    """Variables that look like settings and are none."""
    misspelt = list(unread())
    for one in misspelt:
        remedy = f"rename it to {one.meant}, or remove it" if one.meant else "remove it"
        yield failing("variables", f"{one.name} is set, but nothing reads it", remedy)
    if not misspelt:
        yield ok("variables", "each that is set is read")


def check_key_file(data: Path) -> Iterator[Finding]:
    """Whether the data folder still has the key that sealed its tokens."""
    if not has_database(data) or variable("DATABASE_URL") is not None or variable("INSTEP_SECRET_KEYS") is not None:
        return
    if not (data / "secret_key").exists():
        yield failing("secret key file", str(SecretKeyLost(data)), "put it back from where you keep it")


def check_python() -> Iterator[Finding]:
    """The interpreter's environment; one that is too old does not get this far."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.prefix == sys.base_prefix and not Path("/.dockerenv").exists():
        yield warning("python", f"{version}, outside of a virtual environment", "use the one that `make up` makes")
    else:
        yield ok("python", version)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_packages(lock: Path) -> Iterator[Finding]:
    """Compare the installed packages with the lock; lines with an environment marker may not apply to this machine."""
    if not lock.exists():
        return
    installed = {
        _canonical(package.metadata["Name"]): package.version
        for package in importlib.metadata.distributions()
        if package.name
    }
    locked: dict[str, set[str]] = {}
    needed = set()
    for line in lock.read_text().splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==(\S+)\s*(;.*)?", line.rstrip(" \\"))
        if match is None:
            continue
        name = _canonical(match[1])
        locked.setdefault(name, set()).add(match[2])
        if match[3] is None:
            needed.add(name)
    absent = sorted(needed - installed.keys())
    wrong = [
        f"{name} {installed[name]} instead of {' or '.join(sorted(versions))}"
        for name, versions in locked.items()
        if name in installed and installed[name] not in versions
    ]
    remedy = f"pip install --require-hashes -r {lock.name}"
    if wrong or absent:
        message = "; ".join([*wrong, *(f"{name} is not installed" for name in absent)])
        yield warning("packages", message, remedy)
    else:
        yield ok("packages", "as in the lock")


def check_disk(data: Path) -> Iterator[Finding]:
    """Free space of the data folder's disk, or of the working directory's where there is no data folder."""
    folder = data if data.exists() else Path()
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        yield failing("disk", f"{free // 1024**2} MB left at {folder.resolve()}", "make room; PostgreSQL stops without")
    else:
        yield ok("disk", f"{free // 1024**3} GB free")


def check_settings(settings: Settings, refused: Collection[str] = ()) -> Iterator[Finding]:
    """Settings that are valid, but unsafe or unsuitable; not those that were refused."""
    if "secret_keys" in refused:
        pass
    elif any(key.get_secret_value() == DEVELOPMENT_KEY for key in settings.secret_keys):
        yield warning(
            "secret keys",
            "tokens are sealed with the development key, which is public",
            "set INSTEP_SECRET_KEYS to what `instep keys secret` prints",
        )
    else:
        yield ok("secret keys", f"{len(settings.secret_keys)} of your own")
    if "public_url" in refused:
        return
    url = urlsplit(settings.public_url)
    if url.hostname in {"127.0.0.1", "localhost", "::1"}:
        yield warning(
            "public url",
            f"{settings.public_url} is this machine alone: tracked links and inbound hooks do not work from outside",
            "set INSTEP_PUBLIC_URL to the public URL of this service",
        )
        yield from check_port(url.hostname, url.port or 80)
    else:
        yield ok("public url", settings.public_url)


def check_port(host: str, port: int) -> Iterator[Finding]:
    """Whether the API's port is free; it is taken while the API runs."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            yield warning("port", f"{port} is taken", "nothing to do if that is the API; else start it with --port")
        else:
            yield ok("port", f"{port} is free")


async def check_database(settings: Settings) -> AsyncIterator[Finding]:
    """Connection, role, clock, migrations, worker, jobs and sealed tokens."""
    try:
        connection = await asyncpg.connect(asyncpg_url(settings.database_url), timeout=TIMEOUT)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as problem:
        yield failing(
            "database",
            f"cannot be reached: {first_line(problem)}",
            "start PostgreSQL and check DATABASE_URL, or use `instep up`",
        )
        return
    try:
        version = await connection.fetchval("SELECT current_setting('server_version')")
        yield ok("database", f"PostgreSQL {version}")
        yield await _role(connection)
        yield await _clock_skew(connection)
        revisions = await _revisions(connection)
        yield _migrations(revisions)
        if not revisions or revisions - known_revisions():
            return  # the checks below need this code's tables
        if revisions == heads():
            yield await _zones(settings)
            yield await _keys(connection, Keyring(settings.secret_keys))
        async for finding in _work(connection):
            yield finding
        if await connection.fetchval("SELECT to_regclass('community_token')") is not None:
            yield await _sealed_tokens(connection, Keyring(settings.secret_keys))
    except (OSError, asyncpg.PostgresError, TimeoutError) as problem:
        yield failing("database", f"does not answer: {first_line(problem)}", "see PostgreSQL's log")
    finally:
        await connection.close()


async def _role(connection: asyncpg.Connection) -> Finding:
    role = await connection.fetchrow(
        "SELECT rolname, rolsuper, rolbypassrls, pg_has_role(current_user, datdba, 'MEMBER') AND NOT rolsuper AS owner"
        " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
    )
    if role is None:
        raise AssertionError("a connection has a role and a database")
    name = role["rolname"]
    for trait, message in (
        ("rolsuper", "is a superuser"),
        ("rolbypassrls", "bypasses row-level security"),
        ("owner", "owns the database"),
    ):
        if role[trait]:
            return failing(
                "role",
                f"{name} {message}: agencies would not be kept apart",
                "let DATABASE_URL name an ordinary role; `instep migrate --superuser-url …` makes instep_app",
            )
    return ok("role", f"{name} is an ordinary role")


async def _clock_skew(connection: asyncpg.Connection) -> Finding:
    before = datetime.now(UTC)
    database_time = await connection.fetchval("SELECT clock_timestamp()")
    after = datetime.now(UTC)
    skew = abs(database_time - (before + (after - before) / 2))
    if skew > MAX_CLOCK_SKEW:
        return warning(
            "clocks", f"this host and the database differ by {skew.total_seconds():.1f} s", "run NTP on both"
        )
    return ok("clocks", "this host and the database agree")


async def _revisions(connection: asyncpg.Connection) -> frozenset[str]:
    """The database's migration revisions; empty where none was run."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return frozenset()
    return frozenset(row["version_num"] for row in await connection.fetch("SELECT version_num FROM alembic_version"))


def _migrations(revisions: frozenset[str]) -> Finding:
    remedy = "run `instep migrate`"
    if not revisions:
        return failing("migrations", "none was run", remedy)
    for revision in sorted(revisions - known_revisions()):
        return failing("migrations", *refusal(revision))
    at = ", ".join(sorted(revisions))
    if revisions != heads():
        return failing("migrations", f"the database is at {at}, not {', '.join(sorted(heads()))}", remedy)
    return ok("migrations", f"at {at}, the newest")


async def _zones(settings: Settings) -> Finding:
    db = Database(settings.database_url, pool=1)
    try:
        async with db.read_connection(None) as connection:
            names = await unexpected(connection, db.clock.now())
    finally:
        await db.close()
    if names:
        some = ", ".join(sorted(names)[:3]) + ("…" if len(names) > 3 else "")
        return warning("time zones", f"PostgreSQL has other rules for {len(names)}: {some}", "run `instep migrate`")
    return ok("time zones", f"all days are those of tzdata {importlib.metadata.version('tzdata')}")


async def _keys(connection: asyncpg.Connection, keyring: Keyring) -> Finding:
    """Whether every key that has sealed something here is configured; API and worker do not start without."""
    stored = [row["fingerprint"] for row in await connection.fetch("SELECT fingerprint FROM sealing_key")]
    lacking = [one for one in stored if one not in keyring.fingerprints]
    if lacking:
        return failing(
            "keys of the database",
            f"INSTEP_SECRET_KEYS lacks {len(lacking)} of the {len(stored)} that have sealed tokens; API and worker "
            "do not start",
            "put the key back, behind the current one and a comma; if it is lost for good: `instep keys adopt`",
        )
    return ok("keys of the database", "those that sealed its tokens are configured")


async def _work(connection: asyncpg.Connection) -> AsyncIterator[Finding]:
    """Whether workers are alive and jobs are run."""
    now = datetime.now(UTC)
    last_heartbeat = await connection.fetchval("SELECT max(at) FROM worker_heartbeat")
    restart = "start `instep worker`, under something that starts it again when it ends"
    if last_heartbeat is None:
        yield warning("worker", "none was ever seen", restart)
    elif now - last_heartbeat > HEARTBEAT_TIMEOUT:
        yield failing("worker", f"last seen at {last_heartbeat:%Y-%m-%d %H:%M:%S} UTC", restart)
    else:
        yield ok("worker", "alive")
    due = await connection.fetchval("SELECT min(run_at) FROM job WHERE state = 'waiting' AND run_at <= $1", now)
    if due is not None and now - due > MAX_LATENESS:
        yield failing("jobs", f"the oldest due one waits since {due:%Y-%m-%d %H:%M:%S} UTC", "start more workers")
    else:
        yield ok("jobs", "none is late")
    dead = await connection.fetchval("SELECT count(*) FROM job WHERE state = 'dead'")
    if dead:
        yield warning(
            "dead jobs",
            f"{dead} were given up",
            "see them with `instep jobs list`, mend the cause, then `instep jobs retry --all`",
        )
    else:
        yield ok("dead jobs", "none")


async def _sealed_tokens(connection: asyncpg.Connection, keyring: Keyring) -> Finding:
    """Whether the keys decrypt all tokens; read per workspace, because of row-level security."""
    lost = set()
    for row in await connection.fetch("SELECT DISTINCT workspace_id FROM api_key"):
        async with connection.transaction(readonly=True):
            await connection.execute("SELECT set_config('app.workspace_id', $1, true)", str(row["workspace_id"]))
            for sealed_row in await connection.fetch(
                "SELECT community_id::text AS owner, sealed FROM community_token "
                "UNION ALL SELECT community_id::text, sealed FROM hook "
                "UNION ALL SELECT 'the bot of ' || platform, sealed FROM alert_bot"
            ):
                try:
                    keyring.open(sealed_row["sealed"])
                except SealBroken:
                    lost.add(sealed_row["owner"])
    factors = 0
    for row in await connection.fetch("SELECT totp_secret FROM user_account WHERE totp_secret IS NOT NULL"):
        try:
            keyring.open(row["totp_secret"])
        except SealBroken:
            factors += 1
    if factors:
        return failing(
            "sealed tokens",
            f"no key opens the second factors of {factors} accounts",
            "add the key that sealed them to INSTEP_SECRET_KEYS, or let these people sign in with a recovery code",
        )
    if lost:
        some = ", ".join(sorted(lost)[:3]) + (", …" if len(lost) > 3 else "")
        return failing(
            "sealed tokens",
            f"no key opens those of {len(lost)} communities or bots: {some}",
            "add the key that sealed them to INSTEP_SECRET_KEYS, or reconnect the communities and give their "
            "hooks' secrets anew",
        )
    return ok("sealed tokens", "the keys open all of them")


async def check_redis(settings: Settings) -> AsyncIterator[Finding]:
    """Connection, and whether the data survive a restart."""
    redis = Redis.from_url(settings.redis_url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    try:
        info = await redis.info()
        yield ok("redis", f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}")
        if info.get("aof_enabled") or await _saves_snapshots(redis):
            yield ok("redis persistence", "what it holds survives a restart")
        else:
            yield warning(
                "redis persistence",
                "what it holds is lost at a restart: jobs are late then, none is lost",
                "start it with --appendonly yes",
            )
    except (OSError, RedisError, TimeoutError) as problem:
        yield failing(
            "redis",
            f"cannot be reached: {first_line(problem)}",
            "start Valkey and check REDIS_URL, or use `instep up`",
        )
    finally:
        await redis.aclose()


async def check_mail(settings: Settings) -> Finding:
    """Whether the mail server can be reached, encrypted as it is set, and accepts the sign-in."""
    if not mail.is_set_up(settings):
        return ok("mail", "not set up: links of invitations are shown to whoever invites, and no alert is mailed")
    server = f"{settings.smtp_host}:{settings.smtp_port} ({settings.smtp_tls})"
    try:
        await mail.check(settings)
    except mail.MailError as problem:
        return failing("mail", f"{server}: {problem.reason}", "check the INSTEP_SMTP_* settings and the mail server")
    if settings.smtp_tls == "none" and settings.smtp_host not in {"127.0.0.1", "localhost", "::1"}:
        return warning("mail", f"{server} works, and what is sent to it can be read on the way", "set INSTEP_SMTP_TLS")
    return ok("mail", f"{server} accepts mail from {settings.smtp_sender}")


async def _saves_snapshots(redis: "Redis") -> bool:
    try:
        return bool((await redis.config_get("save")).get("save"))
    except RedisError:  # hosted servers may refuse CONFIG
        return True
