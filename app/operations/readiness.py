"""What keeps the installation from doing its work, by the health of its queue."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.kit.scheduler import Health

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=30)
"""Without a heartbeat for this long, no worker is taken to be alive."""
LATE: Final = timedelta(minutes=2)
"""Where a due job has waited for this long, the workers do not keep up."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the service cannot do its work."""

    code: str
    detail: str
    since: datetime | None
    """None: never was it otherwise."""


def fault(health: Health, at: datetime) -> Fault | None:
    """What is wrong; None where nothing is."""
    if health.heartbeat_at is None or at - health.heartbeat_at > HEARTBEAT_TIMEOUT:
        last_seen = "never" if health.heartbeat_at is None else health.heartbeat_at.isoformat()
        return Fault(
            "no-worker", f"No worker is alive (last seen: {last_seen}). Start one: instep worker", health.heartbeat_at
        )
    if health.oldest_due_at is not None and at - health.oldest_due_at > LATE:
        due_at = health.oldest_due_at
        return Fault("jobs-late", f"Jobs are late: the oldest has been due since {due_at.isoformat()}.", due_at)
    return None
