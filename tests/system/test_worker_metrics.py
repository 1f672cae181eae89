"""What a worker counts can be scraped, where that is asked for."""

import json
from pathlib import Path

import httpx
import pytest

from tests.servers import Servers
from tests.system.serving import environment, process, until


def scrape(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).raise_for_status().text


def test_a_worker_serves_what_it_counts(servers: Servers, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    variables = environment(
        servers,
        servers.clone(),
        REDIS_URL=servers.redis_url(62),
        INSTEP_LOG_LEVEL="info",
        INSTEP_WORKER_METRICS_PORT="0",
    )

    def said() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == "worker.metrics"]

    with process("app.cli.main", "worker", variables=variables, log=log) as worker:
        until(lambda: bool(said()) or worker.poll() is not None, log)
        (where,) = said()
        assert where["host"] == "127.0.0.1"
        port = int(str(where["port"]))
        until(lambda: 'instep_jobs_total{job="access.tidy",outcome="done"} 1.0' in scrape(port), log)
        told = scrape(port)
        assert 'instep_job_seconds_count{job="access.tidy"} 1.0' in told
        assert "instep_jobs_dead" not in told, "a worker does not know, and 0 would be a lie"
    assert worker.returncode == 0
    with pytest.raises(httpx.ConnectError):
        scrape(port)
