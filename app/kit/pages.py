"""The `Content-Security-Policy` of HTML pages: nothing runs and nothing is shown but what the page holds itself."""

import base64
import hashlib
import re
from typing import Final

_INLINE: Final = re.compile(r"<(script|style)[^>]*>(.*?)</\1>", re.DOTALL)
STRICT: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def content_security_policy(page: str, **sources: str) -> str:
    """The policy of a page: its inline scripts and styles, by their hashes, and further `sources` by directive.

    An underscore in a directive's name stands for its hyphen: `img_src="'self'"`.
    """
    allowed = {name.replace("_", "-"): source for name, source in sources.items()}
    for kind, content in _INLINE.findall(page):
        if content.strip():
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            name = f"{kind}-src"
            if "'unsafe-inline'" not in allowed.get(name, ""):
                allowed[name] = f"{allowed.get(name, '')} 'sha256-{digest}'".strip()
    return "; ".join((STRICT, *(f"{name} {source}" for name, source in sorted(allowed.items()))))
