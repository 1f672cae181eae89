"""The errors of the Bot API and their meanings.

The codes 400 and 403 cover many errors, which only the text of `description` distinguishes. There is no published
list of these texts; those below come from bot libraries. Unverified: that Telegram still uses them. An error with
any other text is taken by its code: 400 `Rejected`, 403 `MissingPermission`. Old servers send 401 where 403 is sent
now, and "[Error]: " before the text.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

import httpx
from pydantic import ValidationError

from app.platforms import wire
from app.platforms.contract import (
    AuthExpired,
    Gone,
    LimitScope,
    Malformed,
    MissingPermission,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Token,
    Transient,
)
from app.platforms.errors import ErrorMeaning
from app.platforms.telegram import wire_models as telegram

ADMINISTRATOR: Final = "administrator"
POST: Final = "can_post_messages"
SEND: Final = "can_send_messages"
READ_GROUP: Final = "can_read_all_group_messages"

UNREACHABLE: Final = (
    "bot was blocked by the user",
    "user is deactivated",
    "can't initiate conversation",
    "can't send messages to bots",
    "can't send messages to the bot",
    "user_is_blocked",
    "you_blocked_user",
    "input_user_deactivated",
    "user_is_bot",
    "privacy_premium_required",
)
"""The person cannot be written to; nothing is wrong with the token."""

MISSING: Final = (
    "chat not found",
    "user not found",
    "member not found",
    "participant_id_invalid",
    "user_not_participant",
    "message to be replied not found",
    "message to reply not found",
    "reply message not found",
    "replied message not found",
    "message_id_invalid",
    "message thread not found",
    "topic_deleted",
    "peer_id_invalid",
    "channel_invalid",
    "chat_id_invalid",
    "chat was deactivated",
    "chat is deactivated",
    "group was deactivated",
    "group is deactivated",
    "chat was deleted",
    "to a supergroup chat",
)
"""What the request names does not exist, or no longer under this id."""

PERMISSIONS: Final[Mapping[str, str]] = {
    "need administrator rights in the channel": POST,
    "not enough rights to send": SEND,
    "not enough rights to post": POST,
    "not enough rights": ADMINISTRATOR,
    "have no rights to send": SEND,
    "chat_write_forbidden": SEND,
    "chat_send_": SEND,
    "chat_guest_send_forbidden": SEND,
    "chat_restricted": SEND,
    "user_banned_in_channel": SEND,
    "chat_admin_required": ADMINISTRATOR,
    "channel_private": ADMINISTRATOR,
    "member list is inaccessible": ADMINISTRATOR,
    "bot is not a member": ADMINISTRATOR,
    "bot was kicked": ADMINISTRATOR,
}
"""Texts, and the right that the bot lacks where the description contains them; the first match counts."""

PREFIX: Final = re.compile(r"^\[?error\]?: ", re.IGNORECASE)
RETRY_AFTER: Final = re.compile(r"retry after (\d{1,9})\b", re.IGNORECASE)


def parse_failure(response: httpx.Response) -> telegram.Failure | None:
    """The error of Telegram's own in a response; None where there is none."""
    try:
        return telegram.FAILURE.validate_json(response.content)
    except ValidationError:
        return None


def from_response(response: httpx.Response, *, changes: bool, secrets: Collection[str]) -> PlatformError | None:
    """The error that a response reports, by its code and text, else by its status; None where it reports none.

    `changes`: the request was a change. `secrets` are kept out of the message.
    """
    failure = parse_failure(response)
    if failure is None and response.is_success:
        return None
    code = _code(response, failure)
    platform_code = str(code)
    if code == httpx.codes.TOO_MANY_REQUESTS:
        seconds = None if failure is None else _retry_after(failure)
        return Throttled(
            "Telegram asks for fewer messages to this chat" if changes else "Telegram asks for fewer calls of this bot",
            retry_after=wire.retry_after(response) if seconds is None else float(seconds),
            scope=LimitScope.COMMUNITY if changes else LimitScope.TOKEN,
            platform_code=platform_code,
        )
    if code >= httpx.codes.INTERNAL_SERVER_ERROR:
        if changes:
            return OutcomeUnknown("Telegram failed while it handled the change", platform_code=platform_code)
        return Transient(ErrorMeaning.UNAVAILABLE.text("Telegram"), platform_code=platform_code)
    if not httpx.codes.is_client_error(code):
        return Malformed("the response is not one of the Bot API's", platform_code=platform_code)
    if code == httpx.codes.REQUEST_TIMEOUT:
        return Transient("Telegram timed out while it waited for the request", platform_code=platform_code)
    if failure is None:
        return Rejected("the request was refused by something that stands before Telegram", platform_code=platform_code)
    return _refused(code, failure, secrets)


def _code(response: httpx.Response, failure: telegram.Failure | None) -> int:
    """The error's code, else the status; an error without a code in a response with status 200 is a refusal."""
    if failure is not None and failure.error_code is not None:
        return failure.error_code
    return int(httpx.codes.BAD_REQUEST) if response.is_success else response.status_code


def _retry_after(failure: telegram.Failure) -> int | None:
    """The seconds to wait that an error of too many requests names; old servers name them in the text alone."""
    if failure.parameters.retry_after is not None:
        return failure.parameters.retry_after
    match = RETRY_AFTER.search(failure.description)
    return None if match is None else int(match[1])


def _refused(status: int, failure: telegram.Failure, secrets: Collection[str]) -> PlatformError:
    """The meaning of an error of Telegram's own with a code from 400 to 499."""
    description = PREFIX.sub("", failure.description)
    code, text = str(status), description.lower()
    # For a token that is not even well-formed the code is 404.
    if text in {"unauthorized", "not found", "logged out"}:
        return AuthExpired("Telegram does not accept the bot's token", token=Token.COMMUNITY, platform_code=code)
    if status == httpx.codes.CONFLICT:
        return Transient("another program reads this bot's updates, too", platform_code=code)
    detail = wire.explanation(description.partition(": ")[2] or description, secrets)
    if failure.parameters.migrate_to_chat_id is not None:
        return Gone("the group has a new id: the community must be read anew", platform_code=code)
    if any(phrase in text for phrase in UNREACHABLE):
        return Rejected(f"this person cannot be written to: {detail}", platform_code=code)
    if any(phrase in text for phrase in MISSING):
        return Gone(f"Telegram says: {detail}", platform_code=code)
    permission = next((permission for phrase, permission in PERMISSIONS.items() if phrase in text), None)
    if permission is None and status == httpx.codes.UNAUTHORIZED:
        return AuthExpired("Telegram does not accept the bot's token", token=Token.COMMUNITY, platform_code=code)
    if permission is None and status == httpx.codes.FORBIDDEN:
        permission = ADMINISTRATOR
    if permission is not None:
        return MissingPermission(f"the bot may not do this: {detail}", scopes=(permission,), platform_code=code)
    return Rejected(f"Telegram refused the request: {detail}", platform_code=code)
