"""Pages of a person's account, for browsers: signing in, and where one is signed in (links: `account_link_pages`).

Each does what the operation of the API does, by the same function; a refusal is written on the page. They are no
operations of the API, and are not in its document. Whoever signs in gets the session as a cookie; forms of somebody
signed in carry the session's CSRF token, and no form of another site is taken.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Request
from fastapi import Response as FastResponse
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response

from app.access import session_routes
from app.access.authentication import Credential, RequestActor, authenticator
from app.access.current import resources_of
from app.access.models import Membership, Role, UserAccount, UserSession, UserWorkspace, Workspace
from app.access.passwords import MIN_LENGTH
from app.access.permissions import Permission
from app.access.routing import SESSION_COOKIE, require_csrf_token
from app.access.schemas import SessionCreate
from app.access.sessions import SIGN_IN, SecondFactorNeeded, WorkspaceNeeded, csrf_token
from app.kit import mail
from app.kit.actors import ActorKind
from app.kit.crypto import SealBroken
from app.kit.db import in_workspace
from app.kit.errors import AppError, Unauthenticated
from app.kit.i18n import language_of, translate
from app.kit.pages import HEADERS, form_errors, form_of, own_path, page_response, validated
from app.kit.resources import Resources
from app.kit.web import verified

PAGES = APIRouter(prefix="/account", include_in_schema=False)

BEGUN_FOR: Final = timedelta(minutes=10)
"""How long somebody may take for their code after the password."""
_MAX_SESSIONS: Final = 50
ACCOUNT_PATH: Final = "/account"
SIGN_IN_PATH: Final = "/account/sign-in"

TEXTS: Final = {
    "wrong-credentials": "The e-mail address or the password is wrong.",
    "wrong-code": "This code is not right, or was used already: wait for the next one.",
    "too-many-sign-ins": "Too many sign-ins failed. Try again in a quarter of an hour.",
    "no-workspace": "You do not belong to any agency (any more).",
    "link-not-valid": "This link is not valid (any more): ask for a new one.",
    "weak-password": "This password is guessed first. Take a longer one, without your name; a few words are good.",
    "second-factor-needed": "Enter the code of your authenticator app too.",
    "member-already": "You belong to this agency already: sign in.",
    "no-password-yet": "Your account has no password yet. Ask the agency for a link to set one; then come back.",
    "csrf": "This form is too old, or was not sent from here. Open the page again.",
    "cross-site": "This form was sent from another site. Open the page itself, and send it there.",
    "sign-in-again": "That took too long. Sign in again.",
    "no-mail": "No mail is sent from here. Ask an owner or an admin of your agency for a link.",
    "too-many-password-resets": "Too many new passwords were asked for. Look into your mailbox, or come back later.",
    "invalid-input": "Something in this form is not as it should be.",
}
"""What a page says of an error, by its code."""
FORMATS: Final = {
    "email": "Write it like name@example.com.",
    "code": "Write the code as your app shows it, or a recovery code.",
}
"""How fields of forms are written."""
ROLES: Final = {Role.OWNER.value: "Owner", Role.ADMIN.value: "Admin", Role.MEMBER.value: "Member"}


_BROWSERS: Final = re.compile(r"(YaBrowser|Edg|OPR|Firefox|FxiOS|CriOS|Chrome|Safari)\w*/")
_BROWSER_NAMES: Final = {
    "YaBrowser": "Yandex",
    "Edg": "Edge",
    "OPR": "Opera",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    **{name: name for name in ("Firefox", "Chrome", "Safari")},
}
"""By what they call themselves; of several in one text the first of these is it."""
_SYSTEMS: Final = ("iPhone", "iPad", "Android", "Windows", "Mac OS X", "Linux")
"""Likewise."""


def device(user_agent: str | None) -> str | None:
    """What a person calls a device: its browser and its system; else the beginning of what it said of itself."""
    if user_agent is None:
        return None
    browsers = set(_BROWSERS.findall(user_agent))
    names = [name for token, name in _BROWSER_NAMES.items() if token in browsers][:1]
    names += [system for system in _SYSTEMS if system in user_agent][:1]
    return ", ".join(names) or user_agent[:80]


def _language(request: Request) -> str:
    return language_of(request.headers.get("accept-language", ""))


def _text(error: AppError, language: str) -> str:
    return translate(TEXTS.get(error.code, error.detail), language)


def page(request: Request, template: str, error: AppError | None = None, **values: Any) -> Response:
    """A page of access, with an error on it."""
    language = _language(request)
    return page_response(
        f"access/{template}",
        language,
        status=200 if error is None else error.status,
        error=None if error is None else _text(error, language),
        errors=form_errors(error, language, FORMATS),
        min_length=str(MIN_LENGTH),
        **values,
    )


def refusal(request: Request, error: AppError, back: str | None = SIGN_IN_PATH) -> Response:
    """The page of an error where there is no form to write it on."""
    return page_response(
        "kit/error.html",
        _language(request),
        status=error.status,
        title="This did not work",
        detail=TEXTS.get(error.code, error.detail),
        back=back,
    )


def to(path: str) -> Response:
    """To another page."""
    return RedirectResponse(path, status_code=303, headers=HEADERS)


def signed_in(made: FastResponse, path: str) -> Response:
    """To a page, with the cookie that an operation has set in its response."""
    response = to(path)
    response.raw_headers.extend((name, value) for name, value in made.raw_headers if name == b"set-cookie")
    return response


# ── Signing in ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Begun:
    """A sign-in whose password is right. It goes into the page sealed, and comes back with the code."""

    email: str
    password: str
    workspace_id: str | None

    def sealed(self, resources: Resources) -> str:
        until = (resources.clock.now() + BEGUN_FOR).timestamp()
        return resources.keyring.seal(
            orjson.dumps(["sign-in", until, self.email, self.password, self.workspace_id]).decode()
        )

    @classmethod
    def opened(cls, resources: Resources, sealed: str) -> "_Begun":
        """Raises `Unauthenticated` (`sign-in-again`) for one that is too old, or not ours."""
        try:
            kind, until, email, password, workspace_id = orjson.loads(resources.keyring.open(sealed))
        except (SealBroken, ValueError, TypeError):
            kind, until = "", 0.0
        if kind != "sign-in" or until <= resources.clock.now().timestamp():
            raise Unauthenticated(TEXTS["sign-in-again"], code="sign-in-again")
        return cls(email, password, workspace_id)


@PAGES.get("/sign-in")
async def sign_in_page(request: Request) -> Response:
    """The form to sign in."""
    query = request.query_params
    return _sign_in_form(
        request,
        path=own_path(query.get("next")),
        done=query.get("done") == "password",
        workspace_id=_id(query.get("workspace_id")),
    )


def _sign_in_form(
    request: Request,
    error: AppError | None = None,
    *,
    path: str | None = None,
    email: str = "",
    done: bool = False,
    workspace_id: str | None = None,
    begun: str | None = None,
    workspaces: list[tuple[UUID, str]] | None = None,
) -> Response:
    values = {"next": path, "email": email, "done": done, "workspace_id": workspace_id, "begun": begun}
    sends_mail = mail.is_set_up(resources_of(request).settings)
    return page(request, "sign_in.html", error, workspaces=workspaces, sends_mail=sends_mail, **values)


@PAGES.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Sign in; with the second factor, or several workspaces, in two or three steps."""
    resources = resources_of(request)
    path, email, begun = None, "", None
    try:
        form = await form_of(request, resources.settings.public_url)
        path, email = own_path(form.get("next")), form.get("email", "")
        if "begun" in form:
            begun = _Begun.opened(resources, form["begun"])
            begun = _Begun(begun.email, begun.password, form.get("workspace_id") or begun.workspace_id)
        else:
            begun = _Begun(email, form.get("password", ""), form.get("workspace_id"))
        values = {"email": begun.email, "password": begun.password, "workspace_id": begun.workspace_id}
        body = validated(SessionCreate, {**values, "code": form.get("code"), "cookie": True})
        made = FastResponse()
        await session_routes.sign_in(body, request, made, resources)
    except WorkspaceNeeded as needed:
        assert begun is not None
        titles = await _titles(resources, [UUID(one["detail"]) for one in needed.errors])
        return _sign_in_form(request, path=path, begun=begun.sealed(resources), workspaces=titles)
    except SecondFactorNeeded:
        assert begun is not None
        return _sign_in_form(request, path=path, begun=begun.sealed(resources))
    except AppError as error:
        if error.code == "wrong-code" and begun is not None:
            return _sign_in_form(request, error, path=path, begun=begun.sealed(resources))
        return _sign_in_form(request, error, path=path, email=email)
    return signed_in(made, path or ACCOUNT_PATH)


async def _titles(resources: Resources, workspaces: list[UUID]) -> list[tuple[UUID, str]]:
    """The titles of workspaces; each is visible in itself alone."""
    titles = []
    for workspace_id in workspaces:
        async with resources.db.read_connection(workspace_id) as connection:
            query = select(Workspace.title).where(Workspace.workspace_id == workspace_id)
            titles.append((workspace_id, await connection.scalar(query) or ""))
    return titles


def _id(text: str | None) -> str | None:
    try:
        return None if text is None else str(UUID(text))
    except ValueError:
        return None


# ── Of somebody who is signed in ──────────────────────────────────────────────────────────────────


async def _credential(request: Request) -> Credential:
    """The session in the request's cookie; `Unauthenticated` without a good one."""
    text = request.cookies.get(SESSION_COOKIE)
    if text is None:
        raise Unauthenticated("Sign in.")
    credential = await authenticator(resources_of(request)).authenticate(text)
    if credential.kind is not ActorKind.USER:
        raise Unauthenticated("Sign in.")
    verified(request.scope, f"{credential.kind}:{credential.id}")
    return credential


async def _acting(request: Request) -> RequestActor:
    """Who sends a form; `Forbidden` (`csrf`) where it does not carry the session's token."""
    resources = resources_of(request)
    form = await form_of(request, resources.settings.public_url)
    credential = await _credential(request)
    require_csrf_token(resources, credential, form.get("csrf_token", ""))
    return credential.acting(Permission.WORKSPACE_READ)


@PAGES.get("")
async def account(request: Request) -> Response:
    """Who one is, where one works, and where one is signed in."""
    resources = resources_of(request)
    try:
        credential = await _credential(request)
    except Unauthenticated:
        return to(f"{SIGN_IN_PATH}?next={ACCOUNT_PATH}")
    async with resources.db.read_connection(credential.workspace_id) as connection:
        user = (
            await connection.execute(
                select(UserAccount.name, UserAccount.email).where(UserAccount.id == credential.user_id)
            )
        ).one()
        role = await connection.scalar(
            select(Membership.role).where(
                in_workspace(Membership, credential.workspace_id), Membership.user_id == credential.user_id
            )
        )
        sessions = (
            await connection.execute(
                select(UserSession.id, UserSession.user_agent, UserSession.address, UserSession.last_used_at)
                .where(
                    UserSession.workspace_id == credential.workspace_id,
                    UserSession.user_id == credential.user_id,
                    UserSession.revoked_at.is_(None),
                    UserSession.expires_at > resources.clock.now(),
                )
                .order_by(UserSession.created_at.desc(), UserSession.id.desc())
                .limit(_MAX_SESSIONS)
            )
        ).all()
    async with resources.transaction(None, SIGN_IN) as session:
        query = select(UserWorkspace.workspace_id).where(UserWorkspace.user_id == credential.user_id)
        workspaces = list((await session.scalars(query.order_by(UserWorkspace.workspace_id))).all())
    return page(
        request,
        "account.html",
        user=user,
        role=ROLES.get(role or "", "Former member"),
        workspace_id=credential.workspace_id,
        workspaces=await _titles(resources, workspaces),
        sessions=sessions,
        device=device,
        session_id=credential.id,
        csrf_token=csrf_token(resources.keyring, credential.id),
    )


@PAGES.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the browser's session."""
    resources, made = resources_of(request), FastResponse()
    try:
        actor = await _acting(request)
        async with resources.transaction(actor.workspace_id, actor) as session:
            await session_routes.sign_out(actor, session, resources, made)
    except Unauthenticated:
        return to(SIGN_IN_PATH)
    except AppError as error:
        return refusal(request, error, ACCOUNT_PATH)
    return signed_in(made, SIGN_IN_PATH)


@PAGES.post("/sessions/{session_id:uuid}/revoke")
async def revoke(session_id: UUID, request: Request) -> Response:
    """End another session."""
    resources = resources_of(request)
    try:
        actor = await _acting(request)
        async with resources.transaction(actor.workspace_id, actor) as session:
            await session_routes.revoke(session_id, actor, session, resources)
    except Unauthenticated:
        return to(SIGN_IN_PATH)
    except AppError as error:
        return refusal(request, error, ACCOUNT_PATH)
    return to(ACCOUNT_PATH)
