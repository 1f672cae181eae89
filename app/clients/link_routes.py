"""What contacts see and state behind their links: a page, or JSON for programs.

A GET changes nothing but the count of opens. The token in the path is the secret with which a form is sent.
"""

from typing import Annotated, Any, Final

import orjson
from fastapi import Path, Request, status
from starlette.responses import RedirectResponse, Response

from app.access.current import ResourcesDep
from app.access.models import Language
from app.clients import service
from app.clients.models import Answer, ClientStatement, Purpose
from app.clients.schemas import (
    ClientPage,
    ClientPageContact,
    ClientPageStatement,
    ClientPageSubject,
    ClientStatementCreate,
)
from app.clients.service import LinkRef, Opened
from app.kit import audience
from app.kit.errors import AppError, BadRequest, Conflict, Invalid, NotFound, UnsupportedMedia, render
from app.kit.i18n import language_of
from app.kit.lists import json_response
from app.kit.localised import Displayed, Phrase, Sentence
from app.kit.openapi_schemas import component
from app.kit.pages import (
    HEADERS,
    asks_json,
    form_errors,
    form_of,
    is_form,
    page_response,
    require_own_form,
    validated,
)
from app.kit.resources import Resources
from app.kit.routing import RawRoute, problems, public_router

PUBLIC = public_router("/s", tag="clients", route_class=RawRoute)

_JSON: Final = "application/json"
_HTML: Final = {"text/html": {"schema": {"type": "string"}}}

TokenParam = Annotated[
    str,
    Path(description="The last part of the link's address.", examples=["qkQxK3mW7dS0sZ8hVQ5p2cT1nJ4rYbL9eXaFgHuOiMw"]),
]

BUTTONS: Final = {Answer.AGREE: "I agree", Answer.APPROVE: "I approve", Answer.DECLINE: "Not like this"}
ANSWERED: Final = {
    Answer.AGREE.value: "You have agreed",
    Answer.APPROVE.value: "You have approved",
    Answer.DECLINE.value: "You have declined",
}
TITLES: Final = {
    "link-unknown": "This link leads nowhere",
    "link-expired": "This link has expired",
    "link-revoked": "This link was taken back",
    "contact-removed": "This link is closed",
}
"""What the page of an error is called, by the error's code."""
PROBLEMS: Final = {
    "revision-outdated": "Your answer was not taken: there is a newer version of this, which you see here. Read it, "
    "then answer again; what you wrote is in the field below.",
    "invalid-input": "Your answer was not taken: something in the form is not as it should be.",
    "wrong-answer": "Your answer was not taken: this link is for something else. Use the buttons of this page.",
}
"""What the page says of a statement that was refused, by the error's code; else what the error says."""


def _both(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`problems` that browsers get as a page."""
    return {code: {**one, "content": {**one["content"], **_HTML}} for code, one in problems(*statuses).items()}


_PAGE: Final[dict[int | str, dict[str, Any]]] = {200: {"content": _HTML}, **_both(404, 409, 410)}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without definitions of its own: one that stands in an operation can refer to none."""
    definitions = schema.pop("$defs", {})
    properties = {
        name: {**definitions.get(one.pop("$ref", "").rpartition("/")[2], {}), **one}
        for name, one in schema["properties"].items()
    }
    return component(schema["title"], {**schema, "properties": properties})


_BODY: Final = _inlined(ClientStatementCreate.model_json_schema())
_STATEMENT: Final = {
    "requestBody": {
        "required": True,
        # The page sends the same as a form; generators of clients make one function of one media type.
        "content": {_JSON: {"schema": _BODY, "example": _BODY["examples"][0]}},
    }
}


@PUBLIC.get("/{token}", operation_id="client-links.open", response_model=ClientPage, responses=_PAGE)
async def open_link(token: TokenParam, request: Request, resources: ResourcesDep) -> Response:
    """What a client link shows: a page, or JSON where `Accept` asks for it.

    An open by a person is counted, one by a mail scanner or a preview is not, as far as they can be told apart.
    """
    is_counted = (
        audience.bot(request.method, request.headers) is None
        # After a statement the browser is sent back to the page.
        and request.headers.get("sec-fetch-site") != "same-origin"
    )
    ref = None
    try:
        ref = await _find(resources, token)
        async with resources.transaction(ref.workspace_id, ref.actor) as session:
            opened = await service.read(session, ref, for_update=is_counted)
            if is_counted:
                await service.count_open(session, ref.actor, link=opened.link)
    except AppError as error:
        return await _refusal(request, resources, ref, error)
    if asks_json(request.headers.get("accept", "")):
        response = json_response(_page_of(opened).model_dump(mode="json"))
        response.headers.update(HEADERS)
        return response
    return _page(token, opened)


@PUBLIC.head("/{token}", operation_id="client-links.open-head", responses=_PAGE)
async def open_head(token: TokenParam, request: Request, resources: ResourcesDep) -> Response:
    """The page's status and headers, without its body; it is not counted as opened.

    Programs that check a link without reading it send this.
    """
    answer = await open_link(token, request, resources)
    return Response(status_code=answer.status_code, headers=HEADERS, media_type=answer.media_type)


@PUBLIC.post(
    "/{token}/statements",
    operation_id="client-links.state",
    status_code=status.HTTP_201_CREATED,
    response_model=ClientPageStatement,
    responses={
        **_both(400, 403, 404, 409, 410, 413, 415, 422),
        303: {"description": "The form was taken; the page shows what was stated."},
    },
    openapi_extra=_STATEMENT,
)
async def state(token: TokenParam, request: Request, resources: ResourcesDep) -> Response:
    """State what the link is for: agree, approve or decline, once for each revision of its subject.

    The same statement again gets the same answer, so no `Idempotency-Key` is taken. `revision-outdated`: there is
    a newer revision than the one of `content_hash`; `already-stated`: something else was stated about this one. The
    page sends it as a form.
    """
    ref, form, public_url = None, None, resources.settings.public_url
    try:
        if is_form(request):
            form = await form_of(request, public_url)
        body = validated(ClientStatementCreate, await _json(request, public_url) if form is None else form)
        ref = await _find(resources, token)
        async with resources.transaction(ref.workspace_id, ref.actor) as session:
            statement = await service.state(
                session, ref.actor, ref=ref, answer=body.answer, seen=body.content_hash, text=body.text
            )
            if form is not None:
                response: Response = RedirectResponse(f"/s/{token}", status_code=303, headers=HEADERS)
            else:
                answer = ClientPageStatement.model_validate(statement).model_dump(mode="json")
                response = json_response(answer)
                response.status_code = status.HTTP_201_CREATED
                response.headers.update(HEADERS)
            return response
    except (Conflict, Invalid) as error:
        if form is None:
            return await _refusal(request, resources, ref, error)
        return await _page_again(request, resources, token, form, error)
    except AppError as error:
        return await _refusal(request, resources, ref, error, token=token if is_form(request) else None)


async def _page_again(
    request: Request, resources: Resources, token: str, form: dict[str, str], error: AppError
) -> Response:
    """The page as it is now, with the error on it, and with what the contact wrote."""
    ref = None
    try:
        ref = await _find(resources, token)
        async with resources.db.read_session(ref.workspace_id) as session:
            opened = await service.read(session, ref)
    except AppError as refused:
        return await _refusal(request, resources, ref, refused)
    return _page(token, opened, error=error, text=form.get("text", ""))


async def _find(resources: Resources, token: str) -> LinkRef:
    return await service.find(resources.db, token)


async def _json(request: Request, public_url: str) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise UnsupportedMedia("Send the body as application/json, or as the page's form does.")
    require_own_form(request, public_url)
    try:
        return orjson.loads(await request.body())
    except ValueError:
        raise BadRequest("The body cannot be read.") from None


async def _refusal(
    request: Request, resources: Resources, ref: LinkRef | None, error: AppError, *, token: str | None = None
) -> Response:
    """An error as a page in the contact's language, or as a problem. `token`: of the page whose form was sent."""
    if asks_json(request.headers.get("accept", "")) or (request.method == "POST" and token is None):
        response = render(request, error)
        response.headers.update(HEADERS)
        return response
    language = language_of(request.headers.get("accept-language", ""))
    if ref is not None:
        async with resources.db.read_session(ref.workspace_id) as session:
            contact = await service.contact_of(session, ref)
        language = contact.language if contact is not None else language
    return page_response(
        "kit/error.html",
        language,
        status=error.status,
        title=TITLES.get(error.code, "This did not work"),
        detail=error.detail,
        back=f"/s/{token}" if token is not None and not isinstance(error, NotFound | service.LinkEnded) else None,
    )


def _page(token: str, opened: Opened, *, error: AppError | None = None, text: str = "") -> Response:
    link, view, language = opened.link, opened.view, opened.contact.language
    purpose = Purpose(link.purpose)
    answers = [answer for answer in BUTTONS if answer in opened.answers]
    return page_response(
        "clients/link.html",
        language,
        status=200 if error is None else error.status,
        zone=opened.zone,
        token=token,
        title=view.title,
        subject_title=_subject_title(opened),
        problem=_problem(error),
        errors=form_errors(error, language),
        text=text,
        agency=opened.agency,
        contact=opened.contact,
        statement=opened.statement,
        answered=ANSWERED[opened.statement.answer] if opened.statement is not None else "",
        is_latest=view.is_latest,
        # What a contact stated themselves stands on the page already.
        refusal=view.closed if opened.statement is not None else view.refusal,
        sections=[*view.sections, *([view.answered] if view.answered and opened.statement is None else [])],
        question=opened.subject.question[purpose] if answers else None,
        answers=[(answer.value, BUTTONS[answer]) for answer in answers],
        content_hash=opened.content_hash,
        expires_at=link.expires_at,
    )


def _subject_title(opened: Opened) -> Displayed:
    """What the page is about, with its version where something is stated about that."""
    if opened.link.purpose == Purpose.READ:
        return opened.subject.title
    parts = {"title": opened.subject.title, "revision": opened.view.revision}
    return Sentence(Phrase("{title}, version {revision}"), parts)


def _problem(error: AppError | None) -> Phrase | None:
    """What the page says of a statement that was refused."""
    if error is None:
        return None
    return Phrase(PROBLEMS.get(error.code, error.detail))


def _page_of(opened: Opened) -> ClientPage:
    return ClientPage(
        purpose=Purpose(opened.link.purpose),
        contact=ClientPageContact(name=opened.contact.name, language=Language(opened.contact.language)),
        subject=ClientPageSubject(
            kind=opened.link.subject_kind,
            id=opened.link.subject_id,
            revision=opened.view.revision,
            title=opened.view.title,
            content=dict(opened.view.content),
        ),
        content_hash=opened.content_hash,
        answers=sorted(opened.answers),
        statement=None if opened.statement is None else _statement(opened.statement),
        expires_at=opened.link.expires_at,
    )


def _statement(statement: ClientStatement) -> ClientPageStatement:
    return ClientPageStatement.model_validate(statement)
