"""Request and response bodies of clients."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from app.access.schemas import Email
from app.clients.models import Answer, ContactLanguage, Purpose
from app.kit.schemas import EXAMPLE_ID, Id, Input, Instant, Output, Patch, ShortText, example

MAX_TEXT = 2000

Phone = Annotated[
    str,
    Field(
        strict=True,
        min_length=3,
        max_length=40,
        pattern=r"^[0-9A-Za-z+() .,/#*-]+$",
        examples=["+375 29 123-45-67"],
    ),
]
SubjectKind = Annotated[str, Field(strict=True, min_length=1, max_length=40, pattern=r"^[a-z_]+$", examples=["brief"])]


def _text_or_none(value: Any) -> Any:
    return (value.strip() or None) if isinstance(value, str) else value


class ContactCreate(Input):
    """Somebody of the client."""

    model_config = example({"name": "Nina", "email": "nina@coffee.example", "about": "owns the café", "language": "ru"})

    name: ShortText = Field(description="The person's name.", examples=["Nina"])
    email: Email = Field(description="Where they are written to; once in a project.", examples=["nina@coffee.example"])
    phone: Phone | None = Field(None, description="Where they are called; null: not known.")
    about: ShortText | None = Field(
        None, description="What they are for the client, in a line.", examples=["owns the café"]
    )
    language: ContactLanguage = Field(
        ContactLanguage.ENGLISH, description="In which their pages and letters are.", examples=["ru"]
    )


class ContactUpdate(Patch):
    """What can be changed of a contact."""

    model_config = example({"phone": "+375 29 123-45-67"})

    name: ShortText = Field(description="The person's name.", examples=["Nina"])
    email: Email = Field(description="Where they are written to; once in a project.", examples=["nina@coffee.example"])
    phone: Phone | None = Field(description="Where they are called; null: not known.")
    about: ShortText | None = Field(description="What they are for the client; null: nothing is said.")
    language: ContactLanguage = Field(description="In which their pages and letters are.", examples=["ru"])


class ContactRead(Output):
    """Somebody of the client."""

    id: Id = Field(description="The contact's id.")
    project_id: Id = Field(description="The project of this client.")
    name: str = Field(description="The person's name.")
    email: str = Field(description="Where they are written to.")
    phone: str | None = Field(description="Where they are called; null: not known.")
    about: str | None = Field(description="What they are for the client; null: nothing is said.")
    language: ContactLanguage = Field(description="In which their pages and letters are.")
    created_at: Instant = Field(description="When they were added.")


class ClientLinkStatus(StrEnum):
    """Where a client link stands."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    USED = "used"
    """Something was stated with it. It can still be opened until it expires."""


class ClientLinkCreate(Input):
    """A link for one contact, one purpose and one subject."""

    model_config = example(
        {"contact_id": EXAMPLE_ID, "purpose": "read", "subject_kind": "project", "subject_id": EXAMPLE_ID}
    )

    contact_id: Id = Field(description="Who gets it.")
    purpose: Purpose = Field(description="What they can do with it: read, agree or approve.", examples=["read"])
    subject_kind: SubjectKind = Field(
        description="What it is about: `project` (an overview, with the team), `brief`. For both, `subject_id` is the "
        "project's id.",
        examples=["project"],
    )
    subject_id: Id = Field(description="The id of what it is about.")
    expires_at: Instant | None = Field(
        None, description="Within 90 days from now; null: 14 days from now.", examples=[None]
    )


class ClientLinkRead(Output):
    """A client link; its address is shown once, when it is made."""

    id: Id = Field(description="The link's id.")
    project_id: Id = Field(description="The project it belongs to.")
    contact_id: Id = Field(description="Who got it.")
    purpose: Purpose = Field(description="What they can do with it.")
    subject_kind: str = Field(description="What it is about.")
    subject_id: Id = Field(description="The id of what it is about.")
    status: ClientLinkStatus = Field(
        description="`used`: something was stated with it. Of several the first of `revoked`, `used`, `expired`."
    )
    created_at: Instant = Field(description="When it was made.")
    expires_at: Instant = Field(description="From then on it cannot be opened.")
    revoked_at: Instant | None = Field(description="When it was revoked; null: it was not.")
    used_at: Instant | None = Field(description="When the latest statement was made with it; null: none was.")
    opens: int = Field(description="How often people opened it, without mail scanners and previews.")
    first_opened_at: Instant | None = Field(description="When it was first opened; null: it was not yet.")
    last_opened_at: Instant | None = Field(description="When it was last opened.")


class ClientLinkMade(ClientLinkRead):
    """A new client link."""

    link: str = Field(description="The address to give to the contact, and to nobody else. It is not shown again.")


class ClientStatementRead(Output):
    """What a contact stated about one revision of a subject."""

    id: Id = Field(description="The statement's id.")
    project_id: Id = Field(description="The project it is about.")
    client_link_id: Id = Field(description="The link with which it was made.")
    contact_id: Id = Field(description="Who stated it.")
    contact_name: str = Field(description="Their name, as it was then.")
    purpose: Purpose = Field(description="What the link was for.")
    subject_kind: str = Field(description="What it is about.")
    subject_id: Id = Field(description="The id of what it is about.")
    revision: str = Field(description="The revision they saw: of a brief its version.")
    content_hash: str = Field(
        description="SHA-256 of what they saw, in hexadecimal: of the JSON object of its `content`, `id`, `kind` and "
        "`revision`, keys sorted, without spaces, in UTF-8."
    )
    answer: Answer = Field(description="What they answered.")
    text: str | None = Field(description="In their own words; null: they wrote nothing.")
    stated_at: Instant = Field(description="When.")


class ClientStatementCreate(Input):
    """What a contact states."""

    model_config = example({"answer": "agree", "content_hash": "0" * 64, "text": "That is us."})

    answer: Answer = Field(description="`decline`, or what the link is for: `agree`, `approve`.", examples=["agree"])
    content_hash: Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{64}$")] = Field(
        description="`content_hash` of what they saw: nobody agrees to what they have not seen.", examples=["0" * 64]
    )
    text: Annotated[
        Annotated[str, Field(strict=True, max_length=MAX_TEXT, pattern=r"^[^\x00]*$")] | None,
        BeforeValidator(_text_or_none),
    ] = Field(None, description="In their own words.", examples=["That is us."])


class ClientPageSubject(Output):
    """What a client link is about."""

    kind: str = Field(description="What it is: `project`, `brief`.")
    id: Id = Field(description="Its id.")
    revision: str = Field(description="Which revision of it this is.")
    title: str = Field(description="Its title, for people.")
    content: dict[str, Any] = Field(description="All that is visible of it.")


class ClientPageContact(Output):
    """Whose link it is."""

    name: str = Field(description="The contact's name.")
    language: ContactLanguage = Field(description="In which they read.")


class ClientPageStatement(Output):
    """What was stated about this revision."""

    answer: Answer = Field(description="What they answered.")
    text: str | None = Field(description="In their own words; null: they wrote nothing.")
    stated_at: Instant = Field(description="When.")
    revision: str = Field(description="About which revision.")
    content_hash: str = Field(description="SHA-256 of what they saw.")


class ClientPage(Output):
    """What a contact sees behind their link."""

    purpose: Purpose = Field(description="What the link is for.")
    contact: ClientPageContact = Field(description="The contact whose link it is.")
    subject: ClientPageSubject = Field(description="What it is about.")
    content_hash: str = Field(description="To be sent with a statement.")
    answers: list[Answer] = Field(description="What can be stated now; empty: nothing.")
    statement: ClientPageStatement | None = Field(description="What was stated already; null: nothing.")
    expires_at: Instant = Field(description="From then on the link cannot be opened.")
