"""Plaza, for the suites: `tests/platforms/specimens/plaza.py`, if it were a platform of ours."""

from typing import Final

from app.platforms.contract import (
    AuthExpired,
    Gone,
    LimitScope,
    MissingPermission,
    Rejected,
    Throttled,
    Token,
    Transient,
)
from tests.platforms.specimens import Refusal, Specimen

SPECIMEN: Final = Specimen(
    address="https://plaza.example/name",
    external_id="77",
    tokens={Token.COMMUNITY: "plaza0community0secret0kWm3"},
    post_ids=("1", "2"),
    refusals=(
        Refusal("a token that is not good", AuthExpired, b"", 401),
        Refusal("not allowed", MissingPermission, b"", 403),
        Refusal("no such group", Gone, b"", 404),
        Refusal("not valid", Rejected, b"", 422),
        Refusal("a broken server", Transient, b"", 502),
        Refusal("too many, until a moment", Throttled, b"", 429, {"retry-after": "7"}, None, 7.0, LimitScope.TOKEN),
        Refusal("too many", Throttled, b"", 429, scope=LimitScope.TOKEN),
    ),
)
