"""`instep track` against the sandbox as a process."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.track import CannotTrack, recognise
from tests.cli.processes import ROOT, clean_environment
from tests.system.serving import until


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[str]:
    """A sandbox that ends with this test: its host and port."""
    announced = tmp_path / "port"
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port-file", str(announced), "--with-parent"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        until(lambda: announced.exists() and bool(announced.read_text().strip()), announced)
        yield f"127.0.0.1:{announced.read_text().strip()}"
        process.stdin.close()


def track(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli.main", "track", *arguments],
        cwd=ROOT,
        env=clean_environment(COLUMNS="80", **variables),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_public_account_shows_its_size_and_posts_without_a_token(sandbox: str) -> None:
    result = track(f"http://{sandbox}/@coffee", "--allow", sandbox)
    assert result.returncode == 0, result.stderr
    assert " followers, 40 newest posts" in result.stdout
    assert "engagement a post: " in result.stdout
    assert "views" not in result.stdout, "Mastodon gives none, so there is no column of zeros"
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "reactions" in result.stdout
    assert "…" in result.stdout, "a post's text is cut, not the counters"


def test_the_settings_hold_here_as_well(sandbox: str) -> None:
    allowed = track(f"http://{sandbox}/@coffee", INSTEP_OUTBOUND_ALLOW=sandbox)
    assert allowed.returncode == 0, allowed.stderr
    replaced = track("@coffee@social.example", INSTEP_PLATFORM_URLS=json.dumps({"mastodon": f"http://{sandbox}"}))
    assert "may not be connected to" in replaced.stderr, "the sandbox was asked, not social.example"
    refused = track("@coffee@social.example", INSTEP_PLATFORM_URLS="no JSON")
    assert refused.returncode == 1
    assert "INSTEP_PLATFORM_URLS" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_private_address_is_not_called_unless_allowed(sandbox: str) -> None:
    result = track(f"http://{sandbox}/@coffee")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "may not be connected to" in result.stderr


def test_an_account_that_does_not_exist(sandbox: str) -> None:
    result = track(f"http://{sandbox}/@nobody_at_all", "--allow", sandbox)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_an_unknown_address_is_answered_with_examples() -> None:
    with pytest.raises(CannotTrack, match="Examples:") as refused:
        recognise("nonsense")
    assert "Mastodon" in str(refused.value)


def test_a_platform_that_requires_a_token_is_refused() -> None:
    with pytest.raises(CannotTrack, match="nothing without a token"):
        recognise("https://vk.com/club1")
