"""The text of a pressed button, where the platform gives only what the keyboard's author has put behind it."""

import json
from collections.abc import Mapping
from typing import Any, Final

_NAMES: Final = ("label", "text", "title", "button", "command")
"""Names under which keyboards' authors put the text of a button into its payload."""


def text_of(payload: Any) -> str:
    """The text in a payload, which may be any JSON, or a text of it; the payload itself where it has none."""
    if isinstance(payload, str):
        try:
            parsed = json.loads(payload)
        except ValueError:
            return payload.strip()
        return text_of(parsed) if isinstance(parsed, Mapping) else payload.strip()
    if isinstance(payload, Mapping):
        texts = [payload[name] for name in _NAMES if isinstance(payload.get(name), str) and payload[name].strip()]
        if texts:
            return str(texts[0]).strip()
    return json.dumps(payload, ensure_ascii=False) if payload else ""
