"""Corrections, as they are shown on the series of their KPIs."""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.goals.models import Correction, CorrectionStatus
from app.kit.db import in_workspace
from app.kpis.annotations import AnnotationSource
from app.kpis.inputs.parameters import AS_OF, PROJECT, WORKSPACE

_ROWS: Final = (
    select(
        func.json_agg(
            aggregate_order_by(
                func.json_build_array(
                    Correction.id, Correction.kpi, Correction.changed_on, Correction.review_on, Correction.change
                ),
                Correction.changed_on,
                Correction.id,
            )
        )
    )
    .where(
        in_workspace(Correction, WORKSPACE),
        Correction.project_id == PROJECT.c.id,
        Correction.status != CorrectionStatus.WITHDRAWN.value,
        Correction.created_at <= AS_OF,
    )
    .correlate(PROJECT)
    .scalar_subquery()
)

ANNOTATIONS: Final = (AnnotationSource("correction", _ROWS),)
