"""The response to a dead tracked link: an HTML page, or problem+json for programs."""

from typing import Any, Final

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from app.kit.errors import PROBLEM, problem
from app.kit.i18n import language_of, translate
from app.kit.pages import asks_json, content_security_policy
from app.kit.routing import PROBLEM_REF

HEADERS: Final = {"Cache-Control": "no-store, private", "X-Robots-Tag": "noindex"}

_PAGE: Final = """\
<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-content: center; padding: 1.5rem;
       font: 1.125rem/1.5 system-ui, sans-serif; text-align: center; }}
h1 {{ margin: 0 0 .5rem; font-size: 1.5rem; font-weight: 600; }}
p {{ margin: 0; opacity: .75; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
</main>
</body>
</html>
"""

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
    page = _PAGE.format(language=language, title=translate(title, language), text=translate(text, language))
    headers = {
        **HEADERS,
        "Content-Language": language,
        "Vary": "Accept, Accept-Language",
        "Content-Security-Policy": content_security_policy(page),
    }
    return HTMLResponse(page, status_code=status, headers=headers)
