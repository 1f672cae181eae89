"""Odnoklassniki publishes neither schema nor answers: `odnoklassniki/assumed_schema` has what is documented."""

from typing import Final

from tests.platforms.recorded import Recorded

RECORDED: Final = Recorded()
