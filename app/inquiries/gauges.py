"""What is counted of replies for the metrics; of those under way, API processes show what a worker counts."""

from typing import Final

from prometheus_client import Counter
from sqlalchemy import bindparam, func, select

from app.inquiries.models import Message
from app.kit.gauges import CountedGauge

REPLIES: Final = Counter("instep_replies", "Replies to customers, by how their sending went.", ["delivery"])
UNDER_WAY: Final = CountedGauge(
    "instep_replies_under_way", "Replies that are neither sent nor refused yet, by their delivery.", ["delivery"]
)
BY_DELIVERY: Final = (
    select(Message.delivery, func.count())
    .where(Message.workspace_id == bindparam("workspace"), Message.delivery.is_not(None))
    .where(Message.delivery.not_in(["sent", "failed"]))
    .group_by(Message.delivery)
)
"""Its conditions are those of the index `ix_message_undelivered`."""
