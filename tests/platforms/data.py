"""Where the platforms' own schemas and recorded answers are: the one place that decides it.

They are no part of the repository, and are looked for in `../shared/platform-data` beside it, or in the
folder that the environment names as `TEST_PLATFORM_DATA`. One that does not exist hides them: what needs
them is then skipped, as on a machine that has none. `.ci/run` runs it that way too: every test whose
module imports this one, directly or through others, has the mark `platform_data` (see `tests.imports`).
"""

import os
from pathlib import Path
from typing import Final

import pytest

VARIABLE: Final = "TEST_PLATFORM_DATA"
FOLDER: Final = Path(os.environ.get(VARIABLE) or Path(__file__).parents[3] / "shared" / "platform-data").resolve()


def data(name: str = "") -> Path:
    """A file or folder of it. The test is skipped, saying so, where there is no data at all.

    Raises `FileNotFoundError` for data without this file or folder: that is a fault, no reason to skip.
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
