"""What the Bot API's refusals mean for us.

The code alone says little: 400 and 403 are told apart by the words of `description`, of which no list
is published. Those below are known from bots' libraries. Unverified: that Telegram keeps to them; one
that is not here means by its code: 400 `Rejected`, 403 `MissingPermission`. Servers of long ago said with
401 what is 403 now, and put "[Error]: " before the words.
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
from app.platforms.telegram import wire_models as telegram

ADMINISTRATOR: Final = "administrator"
POST: Final = "can_post_messages"
SEND: Final = "can_send_messages"
READ_GROUP: Final = "can_read_all_group_messages"

PERSONAL: Final = (
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
"""A person does not hear us; nothing is wrong with the token."""

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
"""What is spoken of does not exist, or no longer under this id."""

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
"""Words, and the right that is missing where they are said: the first that are found."""

BEFORE: Final = re.compile(r"^\[?error\]?: ", re.IGNORECASE)
WAIT: Final = re.compile(r"retry after (\d{1,9})\b", re.IGNORECASE)


def refusal(response: httpx.Response) -> telegram.Failure | None:
    """Telegram's own complaint; None where the answer is none."""
    try:
        return telegram.FAILURE.validate_json(response.content)
    except ValidationError:
        return None


def classified(response: httpx.Response, *, changes: bool, secrets: Collection[str]) -> PlatformError | None:
    """What went wrong, by the code and words of the answer, else by its status; None where nothing did."""
    complaint = refusal(response)
    if complaint is None and response.is_success:
        return None
    code = _code(response, complaint)
    platform_code = str(code)
    if code == httpx.codes.TOO_MANY_REQUESTS:
        wait = None if complaint is None else _wait(complaint)
        return Throttled(
            "Telegram asks for fewer messages to this chat" if changes else "Telegram asks for fewer calls of this bot",
            retry_after=wire.retry_after(response) if wait is None else float(wait),
            scope=LimitScope.COMMUNITY if changes else LimitScope.TOKEN,
            platform_code=platform_code,
        )
    if code >= httpx.codes.INTERNAL_SERVER_ERROR:
        if changes:
            return OutcomeUnknown("Telegram failed while it handled the change", platform_code=platform_code)
        return Transient("Telegram is unwell", platform_code=platform_code)
    if not httpx.codes.is_client_error(code):
        return Malformed("the answer is none of the Bot API's", platform_code=platform_code)
    if code == httpx.codes.REQUEST_TIMEOUT:
        return Transient("Telegram waited for us in vain", platform_code=platform_code)
    if complaint is None:
        return Rejected("the request was refused by something that stands before Telegram", platform_code=platform_code)
    return _refused(code, complaint, secrets)


def _code(response: httpx.Response, complaint: telegram.Failure | None) -> int:
    """The complaint's own code, else the status; a complaint that tells none with a good status is a refusal."""
    if complaint is not None and complaint.error_code is not None:
        return complaint.error_code
    return int(httpx.codes.BAD_REQUEST) if response.is_success else response.status_code


def _wait(complaint: telegram.Failure) -> int | None:
    """The seconds that a complaint of too many requests names; long ago its words alone did."""
    if complaint.parameters.retry_after is not None:
        return complaint.parameters.retry_after
    named = WAIT.search(complaint.description)
    return None if named is None else int(named[1])


def _refused(status: int, complaint: telegram.Failure, secrets: Collection[str]) -> PlatformError:
    """What a complaint of Telegram's own with a code from 400 to 499 means."""
    description = BEFORE.sub("", complaint.description)
    code, words = str(status), description.lower()
    # A text that has not a token's form is answered with 404.
    if words in {"unauthorized", "not found", "logged out"}:
        return AuthExpired("Telegram does not accept the bot's token", token=Token.COMMUNITY, platform_code=code)
    if status == httpx.codes.CONFLICT:
        return Transient("somebody else reads this bot's updates, too", platform_code=code)
    detail = wire.explanation(description.partition(": ")[2] or description, secrets)
    if complaint.parameters.migrate_to_chat_id is not None:
        return Gone("the group has a new id: the community must be read anew", platform_code=code)
    if any(known in words for known in PERSONAL):
        return Rejected(f"this person cannot be written to: {detail}", platform_code=code)
    if any(known in words for known in MISSING):
        return Gone(f"Telegram says: {detail}", platform_code=code)
    permission = next((permission for known, permission in PERMISSIONS.items() if known in words), None)
    if permission is None and status == httpx.codes.UNAUTHORIZED:
        return AuthExpired("Telegram does not accept the bot's token", token=Token.COMMUNITY, platform_code=code)
    if permission is None and status == httpx.codes.FORBIDDEN:
        permission = ADMINISTRATOR
    if permission is not None:
        return MissingPermission(f"the bot may not do this: {detail}", scopes=(permission,), platform_code=code)
    return Rejected(f"Telegram refused the request: {detail}", platform_code=code)
