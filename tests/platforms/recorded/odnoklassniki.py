"""Odnoklassniki publishes no schema and no responses: `odnoklassniki/assumed_schema` has what is documented."""

from typing import Final

from tests.platforms.recorded import Recorded

RECORDED: Final = Recorded()
