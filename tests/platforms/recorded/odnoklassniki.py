"""Odnoklassniki publishes no schema, and nobody answers of its own: `odnoklassniki_shapes` tells what is documented."""

from typing import Final

from tests.platforms.recorded import Recorded

RECORDED: Final = Recorded()
