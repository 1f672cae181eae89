"""Whether a platform takes a reply to an inquiry, and until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.platforms.capabilities import Replies
from app.platforms.contract import Adapter, MessageKind, Spec

DISCONNECTED: Final = "The community is disconnected. Reconnect it, or answer on the platform itself."


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the platform takes no reply."""

    code: str
    detail: str
    """For people."""


@dataclass(frozen=True, slots=True)
class ReplyTerms:
    """Whether a reply would be taken."""

    refusal: Refusal | None = None
    """None: it would."""
    until: datetime | None = None
    """Until when the platform takes it; None where it sets no limit, or there is nothing to reply to."""


def reply_terms(
    adapter_class: type[Adapter] | None,
    platform: str,
    channel: str,
    answered: Any | None,
    at: datetime,
    *,
    connected: bool = True,
    automatic: bool = False,
) -> ReplyTerms:
    """The terms of a reply that is sent at `at`; `connected`: its community is not disconnected.

    `answered` is the row of the customer's latest message that is not deleted, or None where there is none. A script's
    reply may have less time than a person's.
    """
    if not connected:
        return ReplyTerms(Refusal("community-disconnected", DISCONNECTED))
    if adapter_class is None or not issubclass(adapter_class, Replies):
        title = adapter_class.spec.title if adapter_class is not None else platform
        detail = f"Instep cannot answer on {title}: answer there; what you write is found by the next poll."
        return ReplyTerms(Refusal("replies-unsupported", detail))
    if answered is None:
        return ReplyTerms(Refusal("nothing-to-answer", "The customer has deleted everything they wrote."))
    spec = adapter_class.spec
    for beginning, reason in spec.unanswerable.items():
        if answered.external_id is not None and answered.external_id.startswith(beginning):
            return ReplyTerms(Refusal("not-answerable", reason))
    window = None if channel != MessageKind.MESSAGE.value else _window(spec, automatic=automatic)
    if window is None:
        return ReplyTerms()
    until = answered.sent_at + window
    if at <= until:
        return ReplyTerms(until=until)
    detail = f"{spec.title} takes no answer to a message so old. It does once the customer has written again."
    return ReplyTerms(Refusal("reply-window-closed", detail), until)


def is_late(spec: Spec, channel: str, answered: Any, at: datetime) -> bool:
    """Whether only a person's reply to this message is taken."""
    window = spec.reply_window if channel == MessageKind.MESSAGE.value else None
    return window is not None and at > answered.sent_at + window


def _window(spec: Spec, *, automatic: bool) -> timedelta | None:
    return spec.reply_window if automatic else spec.person_reply_window or spec.reply_window
