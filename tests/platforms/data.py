"""Where the platforms' own schemas and recorded responses are.

They are not part of the repository. They are read from `../shared/platform-data` beside it, or from the
folder in the environment variable `TEST_PLATFORM_DATA`. If that folder does not exist, the tests that need
it are skipped; `.ci/run` runs them that way too. Every test whose module imports this one, directly or
indirectly, has the mark `platform_data` (see `tests.imports`).
"""

import os
from pathlib import Path
from typing import Final

import pytest

VARIABLE: Final = "TEST_PLATFORM_DATA"
FOLDER: Final = Path(os.environ.get(VARIABLE) or Path(__file__).parents[3] / "shared" / "platform-data").resolve()


def data(name: str = "") -> Path:
    """The path of a file or folder of the data. Skips the test if there is no data at all.

    Raises `FileNotFoundError` if the data exists without this file or folder.
    """
    if not FOLDER.is_dir():
        pytest.skip(
            f"the platforms' schemas and recordings, which are no part of this repository, are not in {FOLDER} "
            f"({VARIABLE} names another folder)"
        )
    path = FOLDER / name
    if not path.exists():
        raise FileNotFoundError(path)
    return path
