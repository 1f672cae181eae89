"""HTML pages: rendered from the rooms' templates, and allowed nothing but what they hold themselves.

A page is a template of a room (`app/access/templates/sign_in.html` is `access/sign_in.html`). Its texts are in
English and translated where it is rendered; what comes from people is escaped.
"""

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FunctionLoader, StrictUndefined
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse

from app.kit.errors import AppError, BadRequest, Forbidden, Invalid, UnsupportedMedia
from app.kit.i18n import translate
from app.kit.localised import Displayed, Instant, localised
from app.kit.validation import TEXTS, field_errors, field_name
from app.kit.validation import text as error_text

M = TypeVar("M", bound=BaseModel)

_INLINE: Final = re.compile(r"<(script|style)[^>]*>(.*?)</\1>", re.DOTALL)
_NOTHING: Final[Mapping[str, str]] = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
STRICT: Final = "; ".join(f"{name} {source}" for name, source in _NOTHING.items())
HEADERS: Final = {"Cache-Control": "no-store, private", "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}
"""Of pages, and other answers, at an address that is a secret."""
FORM: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 20
_OWN_PATH: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""No second slash or backslash, which browsers take for a host; nothing but visible ASCII."""
_FORMAT_ERRORS: Final = frozenset({"string_pattern_mismatch", "string_too_short"})
_NO_FORMATS: Final[Mapping[str, str]] = MappingProxyType({})
_UTC: Final = ZoneInfo("UTC")
_SAME_SITE: Final = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of a form of ours, and of what a person does in the browser's own bars."""


def content_security_policy(page: str, **sources: str) -> str:
    """The policy of a page: its inline scripts and styles, by their hashes, and further `sources` by directive.

    An underscore in a directive's name stands for its hyphen: `img_src="'self'"`. Each directive stands once: of
    two browsers follow the first.
    """
    allowed = {name.replace("_", "-"): source for name, source in sources.items()}
    for kind, content in _INLINE.findall(page):
        if content.strip():
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            name = f"{kind}-src"
            if "'unsafe-inline'" not in allowed.get(name, ""):
                allowed[name] = f"{allowed.get(name, '')} 'sha256-{digest}'".strip()
    directives = {**_NOTHING, **dict(sorted(allowed.items()))}
    return "; ".join(f"{name} {source}" for name, source in directives.items())


def asks_json(accept: str) -> bool:
    """Whether an `Accept` header is a program's, which asks for JSON, and not a browser's."""
    return "json" in accept and "html" not in accept


def _source(name: str) -> str | None:
    room, _, file = name.partition("/")
    template = resources.files(f"app.{room}").joinpath("templates", file)
    return template.read_text("utf-8") if template.is_file() else None


_ENVIRONMENT: Final = Environment(
    autoescape=True,
    loader=FunctionLoader(_source),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


def page_response(
    template: str, language: str, *, status: int = 200, zone: ZoneInfo = _UTC, **values: Any
) -> HTMLResponse:
    """The response with a page in this language, for one reader: it is stored nowhere, and framed by nobody.

    In the template `_` translates a text, `instant` writes an instant in the wall time of `zone`, and `localised`
    whatever else is written in another way in each language.
    """

    def translated(text: str, **parts: str) -> str:
        translation = translate(text, language)
        return translation.format(**parts) if parts else translation

    def instant(at: datetime) -> str:
        return Instant(at, zone).text(language)

    def written(value: Displayed) -> str:
        return localised(value, language)

    page = _ENVIRONMENT.get_template(template).render(
        _=translated, instant=instant, localised=written, language=language, **values
    )
    headers = {
        **HEADERS,
        "Content-Language": language,
        "Vary": "Accept, Accept-Language",
        "Content-Security-Policy": content_security_policy(page, form_action="'self'"),
    }
    return HTMLResponse(page, status_code=status, headers=headers)


async def form_of(request: Request, public_url: str) -> dict[str, str]:
    """The fields of a page's form that this request sends; empty ones are left out.

    Raises what `require_own_form` raises; `UnsupportedMedia` and `BadRequest` for what is no form.
    """
    require_own_form(request, public_url)
    if not is_form(request):
        raise UnsupportedMedia("Send the body as the page's form does.")
    try:
        parsed = parse_qs((await request.body()).decode(), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest("The body cannot be read.") from None
    # A browser sends a line's end as two characters, and counts it as one.
    return {name: texts[-1].replace("\r\n", "\n") for name, texts in parsed.items()}


def is_form(request: Request) -> bool:
    """Whether a request sends a page's form."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


class InvalidBody(Invalid):
    """A body that its model refuses."""

    causes: Sequence[Mapping[str, Any]] = ()
    """What is wrong, as pydantic describes it."""


def validated(model: type[M], values: Any) -> M:
    """The body that these values are; `InvalidBody` where they are not as its model says."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        every = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        errors = field_errors(every)
        invalid = InvalidBody(f"{errors[0]['field'] or 'body'}: {errors[0]['detail']}", errors=errors)
        invalid.causes = every
        raise invalid from None


def form_errors(error: AppError | None, language: str, formats: Mapping[str, str] = _NO_FORMATS) -> Mapping[str, str]:
    """What is wrong with each field of a form, in the reader's language; of every other field an empty text.

    `formats`: for some fields how they are written, in English and translated; it is said of one written otherwise.
    """
    texts: defaultdict[str, str] = defaultdict(str)
    for cause in error.causes if isinstance(error, InvalidBody) else ():
        name = field_name(cause["loc"][1:]) or ""
        if cause["input"] is None or not str(cause["input"]).strip():
            text = translate(TEXTS["missing"], language)
        elif name in formats and cause["type"] in _FORMAT_ERRORS:
            text = translate(formats[name], language)
        else:
            text = error_text(cause, language)
        texts.setdefault(name, text)
    return texts


def own_path(path: str | None) -> str | None:
    """A path of this service to which a page may send its reader; None for anything that leads elsewhere."""
    if path is None or not _OWN_PATH.fullmatch(path):
        return None
    return path


def require_own_form(request: Request, public_url: str) -> None:
    """Raise `Forbidden` (`cross-site`) where a browser says that another site has sent the form.

    Browsers say so in `Sec-Fetch-Site`; older ones name the site in `Origin`, which is `null` for a form of a page
    with the referrer policy of ours. Programs send neither.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_own = site in _SAME_SITE
    else:
        is_own = origin in {None, "null"} or _origin(origin or "") == _origin(public_url)
    if not is_own:
        raise Forbidden(
            "This form was sent from another site. Open the page itself, and send it there.", code="cross-site"
        )


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
