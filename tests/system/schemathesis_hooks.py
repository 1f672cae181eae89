"""What no schema can say, for schemathesis."""

from typing import Any

import schemathesis

ONLY_FROM_AN_EXCHANGE = frozenset({"Idempotency-Key", "cursor"})
"""A key that was used for another request is refused, and a cursor can only come from the server:
invented ones are rightly refused. tests/kit/test_idempotency.py and tests/house/test_conventions.py
send both, good and bad."""


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Leave those parameters out."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            operation["parameters"] = [
                parameter
                for parameter in operation.get("parameters", ())
                if parameter["name"] not in ONLY_FROM_AN_EXCHANGE
            ]
