"""The alert rules name metrics that exist, say what to do, and are what Prometheus takes."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.processes import ROOT
from tests.shipping.metrics import families

RULES = ROOT / "docker/prometheus/alerts.yml"
SUFFIXES = ("", "_bucket", "_count", "_sum")


def rules() -> list[dict[str, Any]]:
    """All rules of the file."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def unknown(expression: str) -> set[str]:
    """The metrics of an expression that nothing exposes."""
    exposed = {f"{name}{suffix}" for name in families() for suffix in SUFFIXES}
    return set(re.findall(r"\binstep_[a-z_]+", expression)) - exposed


def test_each_rule_names_a_metric_that_exists_and_says_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) > 10
    for rule in rules():
        assert unknown(rule["expr"]) == set(), rule["alert"]
        assert "instep_" in rule["expr"] or rule["alert"] == "InstepDown"
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert "severity" not in rule["expr"]


def test_a_metric_that_does_not_exist_would_be_found() -> None:
    assert unknown("rate(instep_request_seconds_count[5m]) > instep_jobs_ded") == {"instep_jobs_ded"}


def test_the_documentation_tells_of_the_rules() -> None:
    assert "docker/prometheus/alerts.yml" in (ROOT / "docs/operations.md").read_text()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (it comes with Prometheus)")
def test_prometheus_takes_them(tmp_path: Path) -> None:
    checked = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tests = tmp_path / "alerts_test.yml"
    tests.write_text(yaml.safe_dump(SCENARIO | {"rule_files": [str(RULES)]}))
    tried = subprocess.run(["promtool", "test", "rules", str(tests)], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stdout + tried.stderr


def evaluated(alert: str, *samples: tuple[str, float]) -> dict[str, Any]:
    """That a rule's expression finds just these, after an hour of `SERIES`."""
    (rule,) = [rule for rule in rules() if rule["alert"] == alert]
    expected = [{"labels": labels, "value": value} for labels, value in samples]
    return {"expr": rule["expr"], "eval_time": "1h", "exp_samples": expected}


SERIES = {
    'instep_worker_silence_seconds{instance="a"}': "1+60x60",
    'instep_worker_silence_seconds{instance="b"}': "100+60x60",
    'instep_communities{platform="vk",status="healthy",instance="a"}': "10x60",
    'instep_communities{platform="vk",status="reauth_required",instance="a"}': "2x60",
    'instep_communities{platform="vk",status="reauth_required",instance="b"}': "2x60",
    'instep_communities{platform="mastodon",status="healthy",instance="a"}': "5x60",
    'instep_platform_limit_left_ratio{platform="vk",limit="calls",instance="w"}': "0.05x60",
    'instep_platform_limit_left_ratio{platform="mastodon",limit="calls",instance="w"}': "0.5x60",
    'instep_request_seconds_count{status="200"}': "0+1x60",
    'instep_request_seconds_count{status="503"}': "0+1x60",
    'instep_database_pool_in_use{pool="write"}': "10x60",
    'instep_database_pool_size{pool="write"}': "10x60",
    'instep_database_pool_in_use{pool="read"}': "0x60",
    'instep_database_pool_size{pool="read"}': "10x60",
}
SCENARIO: dict[str, Any] = {
    "evaluation_interval": "1m",
    "tests": [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
            "promql_expr_test": [
                evaluated("InstepNoWorker", ("{}", 3601)),
                evaluated("InstepReconnect", ('{platform="vk"}', 2)),
                evaluated("InstepLimitUsedUp", ('{platform="vk", limit="calls"}', 0.05)),
                evaluated("InstepErrors", ("{}", 0.5)),
                evaluated("InstepPoolExhausted", ('instep_database_pool_in_use{pool="write"}', 10)),
                evaluated("InstepJobsDead"),
            ],
        }
    ],
}
