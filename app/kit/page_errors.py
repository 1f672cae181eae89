"""Errors that a person sees in a browser: a page, where a program gets a problem.

Whatever refuses a request on its way to a page (the rate limit, the size of the body, an address that nothing
answers, a failure) answers in the one way of the API, and `PageErrors` writes the page in its place.
"""

from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.errors import PROBLEM
from app.kit.i18n import language_of
from app.kit.pages import is_form, page_response

TEXTS: Final[Mapping[int, tuple[str, str]]] = {
    404: ("There is no such page", "Look whether the address is complete."),
    413: ("That is too much", "What was sent is larger than this page takes. Go back, shorten it, and send it again."),
    429: ("Too many requests", "Wait a minute, then load the page again."),
    503: ("Not at the moment", "The service cannot answer at the moment. Try again in a minute."),
}
"""Title and text of the page, by status."""
REFUSED: Final = ("This did not work", "Go back and try it again.")
FAILED: Final = ("This did not work", "It is a fault of the service, which was noted. Try again in a moment.")
"""Of any other status from 500 on."""


class PageErrors:
    """Answers a browser with a page where the response to a path that begins with one of `paths` is a problem."""

    def __init__(self, app: ASGIApp, *, paths: tuple[str, ...]) -> None:
        self.app = app
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self.paths):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if not _is_browser(request):
            await self.app(scope, receive, send)
            return
        language = language_of(request.headers.get("accept-language", ""))
        is_replaced = False

        async def send_page(message: Message) -> None:
            nonlocal is_replaced
            if message["type"] == "http.response.start":
                received = Headers(raw=message["headers"])
                is_replaced = received.get("content-type", "").startswith(PROBLEM)
                if is_replaced:
                    await _send(send, message["status"], received, language)
            if not is_replaced:
                await send(message)

        await self.app(scope, receive, send_page)


def _is_browser(request: Request) -> bool:
    """Whether a request is a browser's on its way to a page: it asks for HTML, and what it sends is a form."""
    sends_form = "content-type" not in request.headers or is_form(request)
    return "html" in request.headers.get("accept", "") and sends_form


async def _send(send: Send, status: int, received: Headers, language: str) -> None:
    """Send the page of this status with the headers of the response in whose place it is."""
    title, text = TEXTS.get(status, FAILED if status >= 500 else REFUSED)
    page = page_response("kit/error.html", language, status=status, title=title, detail=text)
    own = MutableHeaders(raw=list(received.raw))
    for name in ("content-encoding", "content-language", "vary"):
        del own[name]
    own.update(page.headers)
    await send({"type": "http.response.start", "status": status, "headers": own.raw})
    await send({"type": "http.response.body", "body": page.body})
