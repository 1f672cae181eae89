"""A worker serves its metrics where a port is configured."""

import json
from pathlib import Path

import httpx
import pytest

from tests.servers import Servers
from tests.system.serving import environment, process, until


def scrape(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).raise_for_status().text


def test_a_worker_serves_its_own_metrics(servers: Servers, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    variables = environment(
        servers,
        servers.clone(),
        REDIS_URL=servers.redis_url(62),
        INSTEP_LOG_LEVEL="info",
        INSTEP_WORKER_METRICS_PORT="0",
    )

    def metrics_events() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == "worker.metrics"]

    with process("app.cli.main", "worker", variables=variables, log=log) as worker:
        until(lambda: bool(metrics_events()) or worker.poll() is not None, log)
        (address,) = metrics_events()
        assert address["host"] == "127.0.0.1"
        port = int(str(address["port"]))
        until(lambda: 'instep_jobs_total{job="access.tidy",outcome="done"} 1.0' in scrape(port), log)
        scraped = scrape(port)
        assert 'instep_job_seconds_count{job="access.tidy"} 1.0' in scraped
        assert "instep_jobs_dead" not in scraped, "metrics of the queue are the API's"
    assert worker.returncode == 0
    with pytest.raises(httpx.ConnectError):
        scrape(port)
