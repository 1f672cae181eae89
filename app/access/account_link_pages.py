"""Pages behind the links of accounts: invitations and new passwords, and the one that has such a link mailed.

As in `account_pages`, each does what the operation of the API does, by the same function.
"""

from typing import Final

from fastapi import APIRouter, Request
from fastapi import Response as FastResponse
from starlette.responses import Response

from app.access import account_links, accounts, member_routes
from app.access.account_pages import ACCOUNT_PATH, SIGN_IN_PATH, page, refusal, signed_in, to
from app.access.current import resources_of
from app.access.models import Invitation, LinkPurpose, UserAccount, Workspace
from app.access.schemas import InvitationAccept, PasswordReset, PasswordResetCreate
from app.kit import mail
from app.kit.db import fetch
from app.kit.errors import AppError, NotFound
from app.kit.pages import form_of, validated

LINK_PAGES = APIRouter(prefix="/account", include_in_schema=False)

_FORGOT: Final = "/account/forgot-password"


@LINK_PAGES.get("/invitation")
async def invitation_page(request: Request) -> Response:
    """The form to accept an invitation. Opening it changes nothing: scanners of mail open it too."""
    return await _invitation_form(request, request.query_params.get("token", ""))


async def _invitation_form(request: Request, token: str, error: AppError | None = None, name: str = "") -> Response:
    resources = resources_of(request)
    try:
        async with resources.transaction(None, accounts.BY_LINK) as session:
            link = await account_links.find(session, LinkPurpose.INVITATION, token, at=resources.clock.now())
        assert link.workspace_id is not None
        assert link.invitation_id is not None
        async with resources.transaction(link.workspace_id, accounts.BY_LINK) as session:
            invitation = await fetch(session, Invitation, link.invitation_id)
            if invitation.revoked_at is not None or invitation.accepted_at is not None:
                raise NotFound("", code="link-not-valid")
            agency = await session.get_one(Workspace, link.workspace_id)
            existing = await accounts.by_email(session, invitation.email)
    except AppError as refused:
        return refusal(request, error or refused)
    return page(
        request,
        "invitation.html",
        error,
        token=token,
        agency=agency.title,
        email=invitation.email,
        name=name or invitation.name,
        expires_at=invitation.expires_at,
        has_account=existing is not None,
    )


@LINK_PAGES.post("/invitation")
async def join(request: Request) -> Response:
    """Accept an invitation, and be signed in."""
    resources, form = resources_of(request), {}
    try:
        form = await form_of(request, resources.settings.public_url)
        values = {name: form.get(name) for name in ("token", "name", "password", "code")}
        made = FastResponse()
        await member_routes.accept(validated(InvitationAccept, {**values, "cookie": True}), request, made, resources)
    except AppError as error:
        return await _invitation_form(request, form.get("token", ""), error, form.get("name", ""))
    return signed_in(made, ACCOUNT_PATH)


@LINK_PAGES.get("/password-reset")
async def password_reset_page(request: Request) -> Response:
    """The form for a new password. Opening it changes nothing: scanners of mail open it too."""
    return await _password_form(request, request.query_params.get("token", ""))


async def _password_form(request: Request, token: str, error: AppError | None = None) -> Response:
    resources = resources_of(request)
    try:
        async with resources.transaction(None, accounts.BY_LINK) as session:
            link = await account_links.find(session, LinkPurpose.PASSWORD_RESET, token, at=resources.clock.now())
            assert link.user_id is not None
            user = await session.get_one(UserAccount, link.user_id)
    except AppError as refused:
        return refusal(request, error or refused)
    return page(request, "password_reset.html", error, token=token, email=user.email)


@LINK_PAGES.post("/password-reset")
async def reset_password(request: Request) -> Response:
    """Set a new password."""
    resources, form = resources_of(request), {}
    try:
        form = await form_of(request, resources.settings.public_url)
        body = validated(PasswordReset, {name: form.get(name) for name in ("token", "password")})
        await member_routes.reset_password(body, resources)
    except AppError as error:
        return await _password_form(request, form.get("token", ""), error)
    return to(f"{SIGN_IN_PATH}?done=password")


@LINK_PAGES.get("/forgot-password")
async def forgot_password_page(request: Request) -> Response:
    """The form of somebody who forgot their password."""
    if not mail.is_set_up(resources_of(request).settings):
        return refusal(request, member_routes.no_mail())
    return _forgot_form(request, is_done=request.query_params.get("done") == "sent")


def _forgot_form(
    request: Request, error: AppError | None = None, *, email: str = "", is_done: bool = False
) -> Response:
    return page(request, "forgot_password.html", error, email=email, is_done=is_done)


@LINK_PAGES.post("/forgot-password")
async def forget_password(request: Request) -> Response:
    """Have a link for a new password mailed; the answer is the same whether there is such an account or not."""
    resources, form = resources_of(request), {}
    try:
        form = await form_of(request, resources.settings.public_url)
        body = validated(PasswordResetCreate, {"email": form.get("email")})
        await member_routes.forget_password(body, request, resources)
    except AppError as error:
        if error.code == "no-mail":
            return refusal(request, error)
        return _forgot_form(request, error, email=form.get("email", ""))
    return to(f"{_FORGOT}?done=sent")
