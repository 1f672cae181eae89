"""The metrics that the service exposes."""

from prometheus_client import REGISTRY, generate_latest

from app.kit import jobs, telemetry
from app.kit.registry import rooms


def families() -> set[str]:
    """The names of all our metrics, as Prometheus knows them."""
    jobs.collect()
    for _ in rooms("routes"):
        pass
    text = (generate_latest(REGISTRY) + generate_latest(telemetry.INSTALLATION)).decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    return {name for name in names if name.startswith("instep_") and not name.endswith("_created")}
