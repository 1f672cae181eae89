"""Dates that the authors of messages write themselves, as opposed to those of the platform."""

from datetime import datetime, timedelta
from typing import Final

TOLERANCE: Final = timedelta(minutes=15)
"""How much earlier than the platform's own record an author's date may be: the time that a server's queue takes."""


def sent(claimed: datetime | None, recorded: datetime) -> datetime:
    """When a message was sent: its author's date, unless that is far from when the platform recorded the message.

    An author's software may write any date. A message is received when the platform has it, however far back or ahead
    it is dated.
    """
    return claimed if claimed is not None and recorded - TOLERANCE <= claimed <= recorded else recorded
