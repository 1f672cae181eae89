"""What client links can be about. Each room declares its subjects in a file of its own, `client_subjects.py`.

A subject says what a contact sees of it, revision by revision, and for which purposes links can be made. A room
that must act on a statement subscribes to `ClientStated`, or refuses it in `on_statement`.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.models import Answer, Purpose
from app.kit.actors import Actor
from app.kit.errors import Invalid
from app.kit.localised import Displayed, Phrase
from app.kit.registry import RegistryError, rooms

ANSWERS: Final[Mapping[Purpose, frozenset[Answer]]] = MappingProxyType(
    {
        Purpose.READ: frozenset(),
        Purpose.AGREE: frozenset({Answer.AGREE, Answer.DECLINE}),
        Purpose.APPROVE: frozenset({Answer.APPROVE, Answer.DECLINE}),
    }
)
"""What can be stated with a link for each purpose."""


_ANSWERED: Final = Phrase(
    "Your side has answered this already. Write to the agency if the answer should be another one."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: a heading, paragraphs, and rows of a term with its value. None of it is HTML."""

    heading: Displayed
    paragraphs: Sequence[Displayed] = ()
    rows: Sequence[tuple[Displayed, Displayed]] = ()


@dataclass(frozen=True, slots=True)
class SubjectView:
    """One revision of a subject, as contacts see it."""

    project_id: UUID
    revision: str
    """Another one for other content: `3`. What is stated about one is not stated about the next."""
    title: str
    content: Mapping[str, Any]
    """All that is visible of it, as JSON without fractions; in every language the same."""
    sections: Sequence[Section]
    """The content, as the page writes it."""
    is_latest: bool = True
    """False where the subject is itself one revision, and there is a later one: nothing can be stated about it."""
    closed: Phrase | None = None
    """Why nothing can be stated about this subject any more, although this is its latest revision."""
    answered: Section | None = None
    """What was stated about this revision for the client, where that counts for all contacts: no other one can be."""

    @property
    def refusal(self) -> Phrase | None:
        """Why nothing can be stated about this revision (any more); None: it can."""
        return self.closed or (None if self.answered is None else _ANSWERED)


@dataclass(frozen=True, slots=True)
class StatementMade:
    """A statement that is being made, for `Subject.on_statement`."""

    statement_id: UUID
    contact_id: UUID
    subject_id: UUID
    purpose: Purpose
    revision: str
    answer: Answer
    text: str | None


Load = Callable[[AsyncSession, UUID], Awaitable[SubjectView]]
OnStatement = Callable[[AsyncSession, Actor, StatementMade], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of thing that client links can be about."""

    kind: str
    """In the API and the database: `brief`."""
    title: Phrase
    """For people: `Brief`."""
    purposes: frozenset[Purpose]
    load: Load
    """The latest revision of the subject with this id, in the session's workspace. Raises `NotFound`, or `Conflict`
    where there is nothing to show yet. It must only read."""
    question: Mapping[Purpose, Phrase] = field(default_factory=dict)
    """For each purpose but `read` what the contact is asked."""
    on_statement: OnStatement | None = None
    """Called in the transaction that stores a statement; what it raises refuses the statement."""


@cache
def subjects() -> Mapping[str, Subject]:
    """All subjects by kind."""
    declared: dict[str, Subject] = {}
    for module in rooms("client_subjects"):
        for subject in module.SUBJECTS:
            if subject.kind in declared:
                raise RegistryError(f"{module.__name__} declares the subject {subject.kind}, which there is")
            if not set(subject.question) == set(subject.purposes) - {Purpose.READ}:
                raise RegistryError(f"{module.__name__}: {subject.kind} needs a question for each purpose but read")
            declared[subject.kind] = subject
    return MappingProxyType(declared)


def subject(kind: str, purpose: Purpose) -> Subject:
    """The subject of a kind; `Invalid` (`unknown-subject`) where none has it, or not for this purpose."""
    known_kinds = subjects()
    if kind in known_kinds and purpose in known_kinds[kind].purposes:
        return known_kinds[kind]
    fitting = sorted(name for name, one in known_kinds.items() if purpose in one.purposes)
    detail = f"With the purpose {purpose.value!r} a link can be about: {', '.join(fitting) or 'nothing yet'}."
    error = {"in": "body", "field": "subject_kind", "code": "unknown-subject", "detail": detail}
    raise Invalid(detail, code="unknown-subject", errors=[error])


def content_hash(kind: str, subject_id: UUID, view: SubjectView) -> str:
    """SHA-256, hexadecimal, of what a contact sees: JSON with sorted keys, without spaces, in UTF-8.

    `{"content": …, "id": …, "kind": …, "revision": …}`, as `GET /s/{token}` gives these.
    """
    whole = {"kind": kind, "id": str(subject_id), "revision": view.revision, "content": view.content}
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()
