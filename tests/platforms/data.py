"""Where the platforms' own words are kept: schemas and recorded answers, beside the repository."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "platform-data"


def data(name: str) -> Path:
    """A file or folder of it; the test is skipped, saying so, where it is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no platform data at {path}")
    return path
