"""Hooks of schemathesis, for what a schema cannot express."""

from typing import Any

import schemathesis

ONLY_FROM_AN_EXCHANGE = frozenset({"Idempotency-Key", "cursor"})
"""A key that was used for another request is refused, and a cursor is valid only if it comes from the server.
Generated ones are refused correctly; tests/kit/test_idempotency.py and tests/house/test_conventions.py test both."""


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Remove those parameters from the schema."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            operation["parameters"] = [
                parameter
                for parameter in operation.get("parameters", ())
                if parameter["name"] not in ONLY_FROM_AN_EXCHANGE
            ]
