"""What counts as a deed of which direction.

A deed is an entry of the record of changes, made by a person of the agency: signed in, or by an API key. Only answers
are counted from messages, so that those given in the platform's own app count like those sent from here. What the
service does by itself, what clients do by their links or with the seat `client`, and what bots write is no deed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sqlalchemy import ColumnElement, and_, func, literal_column, or_

from app.access.audit.models import AuditEntry
from app.access.models import Seat
from app.inquiries.models import Message, ReplyDelivery
from app.kit.actors import ActorKind


class WorkDirection(StrEnum):
    """A part of the work that needs somebody."""

    CONTENT = "content"
    PROMOTION = "promotion"
    COMMUNITY = "community"
    MANAGEMENT = "management"


TITLES: Final[Mapping[WorkDirection, str]] = MappingProxyType({one: one.value.capitalize() for one in WorkDirection})
SEATS: Final[Mapping[WorkDirection, frozenset[Seat]]] = MappingProxyType(
    {
        WorkDirection.CONTENT: frozenset({Seat.DESIGNER, Seat.CONTENT_MANAGER}),
        WorkDirection.PROMOTION: frozenset({Seat.PROMOTION_MANAGER}),
        WorkDirection.COMMUNITY: frozenset({Seat.COMMUNITY_MANAGER}),
        WorkDirection.MANAGEMENT: frozenset({Seat.MANAGER}),
    }
)
"""The seats that hold each direction."""


@dataclass(frozen=True, slots=True)
class Deed:
    """A kind of deed."""

    direction: WorkDirection
    title: str
    """For people, in the plural."""


ANSWER: Final = "answers.send"
"""The only kind of deed that is counted from messages."""

DEEDS: Final[Mapping[str, Deed]] = MappingProxyType(
    {
        "posts.create": Deed(WorkDirection.CONTENT, "Posts planned"),
        "posts.update": Deed(WorkDirection.CONTENT, "Posts edited"),
        "posts.mark-published": Deed(WorkDirection.CONTENT, "Posts published"),
        "campaigns.create": Deed(WorkDirection.PROMOTION, "Campaigns made"),
        "campaigns.update": Deed(WorkDirection.PROMOTION, "Campaigns changed"),
        "spend.record": Deed(WorkDirection.PROMOTION, "Spend recorded"),
        "links.create": Deed(WorkDirection.PROMOTION, "Tracked links made"),
        "invite-links.create": Deed(WorkDirection.PROMOTION, "Invite links set"),
        "promo-codes.create": Deed(WorkDirection.PROMOTION, "Promo codes made"),
        ANSWER: Deed(WorkDirection.COMMUNITY, "Answers sent"),
        "inquiries.resolve": Deed(WorkDirection.COMMUNITY, "Inquiries resolved"),
        "briefs.replace": Deed(WorkDirection.MANAGEMENT, "Briefs written"),
        "goals.create": Deed(WorkDirection.MANAGEMENT, "Goals proposed"),
        "goals.update": Deed(WorkDirection.MANAGEMENT, "Goals revised"),
        "corrections.create": Deed(WorkDirection.MANAGEMENT, "Corrections opened"),
        "client-links.create": Deed(WorkDirection.MANAGEMENT, "Clients asked by a link"),
    }
)
"""The kinds of deed by the action of their entries."""


def actions(direction: WorkDirection) -> tuple[str, ...]:
    """The actions that are deeds of a direction."""
    return tuple(action for action, deed in DEEDS.items() if deed.direction is direction and action != ANSWER)


_BY_PEOPLE: Final = (ActorKind.USER, ActorKind.API_KEY)

IS_DEED: Final[ColumnElement[bool]] = and_(
    AuditEntry.action.in_([action for action in DEEDS if action != ANSWER]),
    func.split_part(AuditEntry.actor, ":", 1).in_([kind.value for kind in _BY_PEOPLE]),
)
"""Whether an entry of the record of changes is a deed."""


def is_of(direction: WorkDirection) -> ColumnElement[bool]:
    """Whether an entry's action is one of the direction's."""
    return AuditEntry.action.in_(actions(direction))


IS_ANSWER: Final[ColumnElement[bool]] = and_(
    # Constants, not parameters: a partial index serves them.
    Message.direction == literal_column("'agency'"),
    literal_column("message.automatic IS FALSE"),
    literal_column("message.content_known IS TRUE"),
    or_(Message.delivery.is_(None), Message.delivery == literal_column(f"'{ReplyDelivery.SENT.value}'")),
)
"""Whether a message is an answer: written by a colleague here or on the platform, and not known to have failed."""
