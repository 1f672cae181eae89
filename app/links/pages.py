"""The response to a dead tracked link: an HTML page, or problem+json for programs."""

from typing import Any, Final

from fastapi import Request
from starlette.responses import Response

from app.kit.errors import PROBLEM, problem
from app.kit.i18n import language_of
from app.kit.pages import asks_json, page_response
from app.kit.routing import PROBLEM_REF

HEADERS: Final = {"Cache-Control": "no-store, private", "X-Robots-Tag": "noindex"}
"""Of redirects and problems. Redirects say nothing of the referrer: the page behind the link may count by it."""

_TEXTS: Final = {
    404: ("This link leads nowhere", "There is no such link. Perhaps a letter is missing at its end.", "not-found"),
    410: ("This link is closed", "Its owner has closed it.", "link-archived"),
}

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": title,
        "content": {
            "text/html": {"schema": {"type": "string"}},
            PROBLEM: {"schema": {"$ref": PROBLEM_REF}},
        },
    }
    for status, (title, _, _) in _TEXTS.items()
} | {
    "default": {
        "description": "Any other answer is an error; none of a success but the redirect.",
        "content": {PROBLEM: {"schema": {"$ref": PROBLEM_REF}}},
    }
}
"""For the OpenAPI document."""


def dead_link_response(request: Request, status: int) -> Response:
    """The response 404 (no such link) or 410 (archived), in the format that `Accept` asks for."""
    title, text, code = _TEXTS[status]
    if asks_json(request.headers.get("accept", "")):
        return problem(
            status=status,
            title=title,
            code=code,
            detail=text,
            instance=request.scope["path"],
            request_id=request.scope.get("request_id"),
            headers=HEADERS,
        )
    language = language_of(request.headers.get("accept-language", ""))
    return page_response("kit/error.html", language, status=status, title=title, detail=text)
