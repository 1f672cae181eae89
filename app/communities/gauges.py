"""What is counted of communities for the metrics; API processes show it, a worker counts it."""

from typing import Final

from sqlalchemy import bindparam, func, select

from app.communities.models import Community
from app.kit.gauges import CountedGauge

COMMUNITIES: Final = CountedGauge("instep_communities", "Communities, by platform and status.", ["platform", "status"])
BY_STATE: Final = (
    select(Community.platform, Community.status, func.count())
    .where(Community.workspace_id == bindparam("workspace"))
    .group_by(Community.platform, Community.status)
)
