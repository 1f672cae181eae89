"""Client links: made by the agency, followed and answered by contacts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.access.models import LinkMail, Workspace
from app.access.tokens import hashed
from app.clients import link_tokens
from app.clients.events import ClientLinkOpened, ClientStated
from app.clients.models import Answer, ClientLink, ClientLinkToken, ClientStatement, Contact, Purpose
from app.clients.subjects import ANSWERS, StatementMade, Subject, SubjectView, content_hash, subject, subjects
from app.kit.actors import Actor, ActorKind
from app.kit.db import Database, fetch, in_the_future, in_workspace, now, workspace_of
from app.kit.errors import AppError, Conflict, NotFound, invalid_field
from app.kit.events import publish
from app.kit.ids import uuid7
from app.kit.jobs import enqueue
from app.projects.service import calendar
from app.settings import Settings

LIFETIME: Final = timedelta(days=14)
"""Of a link for which no other end is given."""
LONGEST: Final = timedelta(days=90)
MAIL: Final = "clients.mail-link"
"""The job that makes a link's token and sends it to the contact."""


class LinkEnded(AppError):
    """The link was good once."""

    status: ClassVar[int] = 410
    title: ClassVar[str] = "Gone"
    code = "link-expired"


async def create(
    session: AsyncSession,
    actor: Actor,
    *,
    contact_id: UUID,
    purpose: Purpose,
    subject_kind: str,
    subject_id: UUID,
    expires_at: datetime | None = None,
    by_mail: bool = False,
) -> tuple[ClientLink, str | None]:
    """A new link and its token, which is not stored.

    `by_mail`: a job makes the token and sends it to the contact, and there is none to return. Raises `NotFound` for a
    contact or a subject that is not there, or of two projects; `Invalid` for what links cannot be about; what the
    subject's `load` raises where there is nothing to show.
    """
    in_the_future(session, "expires_at", expires_at)
    if expires_at is not None and expires_at > now(session) + LONGEST:
        raise invalid_field("expires_at", "too-late", f"A link lasts {LONGEST.days} days at most.")
    contact = await fetch(session, Contact, contact_id)
    if contact.removed_at is not None:
        raise NotFound
    view = await subject(subject_kind, purpose).load(session, subject_id)
    if view.project_id != contact.project_id:
        raise NotFound("This subject is of another project than the contact.")
    link = ClientLink(
        workspace_id=workspace_of(session),
        project_id=contact.project_id,
        contact_id=contact.id,
        purpose=purpose.value,
        subject_kind=subject_kind,
        subject_id=subject_id,
        created_by=str(actor),
        created_at=now(session),
        expires_at=expires_at or now(session) + LIFETIME,
        revoked_at=None,
        used_at=None,
        opens=0,
        first_opened_at=None,
        last_opened_at=None,
        mail=LinkMail.QUEUED.value if by_mail else None,
        mail_detail=None,
    )
    session.add(link)
    await session.flush()
    token = None
    if by_mail:
        await enqueue(session, MAIL, workspace_id=link.workspace_id, key=str(link.id), client_link_id=link.id)
    else:
        token = await link_tokens.make(session, link)
    audit.record(
        session,
        actor,
        "client-links.create",
        project_id=link.project_id,
        client_link_id=link.id,
        contact_id=contact.id,
        subject_id=subject_id,
        after=audit.snapshot(link),
    )
    return link, token


async def revoke(session: AsyncSession, actor: Actor, *, client_link_id: UUID) -> ClientLink:
    """End a link. Idempotent; what was stated with it stays."""
    link = await fetch(session, ClientLink, client_link_id, for_update=True)
    if link.revoked_at is None:
        before, link.revoked_at = audit.snapshot(link), now(session)
        audit.record(
            session,
            actor,
            "client-links.revoke",
            project_id=link.project_id,
            client_link_id=link.id,
            before=before,
            after=audit.snapshot(link),
        )
    return link


def address(settings: Settings, token: str) -> str:
    """The address of a link, for its contact."""
    return f"{settings.public_url.rstrip('/')}/s/{token}"


@dataclass(frozen=True, slots=True)
class LinkRef:
    """Where a link is."""

    workspace_id: UUID
    client_link_id: UUID

    @property
    def actor(self) -> Actor:
        """Whoever has the link."""
        return Actor(ActorKind.CLIENT, str(self.client_link_id))


async def find(database: Database, token: str) -> LinkRef:
    """Where the link with a token is; `NotFound` (`link-unknown`) for a token that never was."""
    query = select(ClientLinkToken.workspace_id, ClientLinkToken.client_link_id).where(
        ClientLinkToken.token_hash == hashed(token)
    )
    async with database.read_connection(None) as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(
            "There is no such link. Open it from the message again, with the whole of its address; if that does not "
            "help, ask the agency for another one.",
            code="link-unknown",
        )
    return LinkRef(*row)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a contact sees behind their link."""

    link: ClientLink
    contact: Contact
    subject: Subject
    view: SubjectView
    content_hash: str
    agency: str
    """Its title."""
    zone: ZoneInfo
    """The project's."""
    statement: ClientStatement | None
    """What the contact stated about this revision, with this link or another one."""

    @property
    def answers(self) -> frozenset[Answer]:
        """What can be stated now."""
        if self.statement is not None or not self.view.is_latest or self.view.refusal is not None:
            return frozenset()
        return ANSWERS[Purpose(self.link.purpose)]


async def contact_of(session: AsyncSession, ref: LinkRef) -> Contact | None:
    """The contact of a link, also of one that has ended."""
    contact: Contact | None = await session.scalar(
        select(Contact)
        .join(ClientLink, (ClientLink.workspace_id == Contact.workspace_id) & (ClientLink.contact_id == Contact.id))
        .where(in_workspace(ClientLink, ref.workspace_id), ClientLink.id == ref.client_link_id)
    )
    return contact


async def read(session: AsyncSession, ref: LinkRef, *, for_update: bool = False) -> Opened:
    """What is behind a link. Raises `LinkEnded` (`contact-removed`, `link-revoked`, `link-expired`)."""
    link = await fetch(session, ClientLink, ref.client_link_id, for_update=for_update)
    contact = await fetch(session, Contact, link.contact_id)
    if contact.removed_at is not None:
        raise LinkEnded(
            "You are no contact of this project any more. If that is not as it should be, ask the agency.",
            code="contact-removed",
        )
    if link.revoked_at is not None:
        raise LinkEnded("The agency has taken this link back; ask them for another one.", code="link-revoked")
    if link.expires_at <= now(session):
        raise LinkEnded("This link was good until a certain day; ask the agency for another one.")
    about = subjects()[link.subject_kind]
    view = await about.load(session, link.subject_id)
    statement = await _statement(session, link, view.revision)
    agency = await session.get_one(Workspace, link.workspace_id)
    zone = (await calendar(session, project_id=link.project_id)).zone
    seen = content_hash(about.kind, link.subject_id, view)
    return Opened(link, contact, about, view, seen, agency.title, zone, statement)


async def _statement(session: AsyncSession, link: ClientLink, revision: str) -> ClientStatement | None:
    statement: ClientStatement | None = await session.scalar(
        select(ClientStatement).where(
            in_workspace(ClientStatement, link.workspace_id),
            ClientStatement.contact_id == link.contact_id,
            ClientStatement.purpose == link.purpose,
            ClientStatement.subject_kind == link.subject_kind,
            ClientStatement.subject_id == link.subject_id,
            ClientStatement.revision == revision,
        )
    )
    return statement


async def count_open(session: AsyncSession, actor: Actor, *, link: ClientLink) -> None:
    """Count that a person opened a link, which is locked. Publishes `ClientLinkOpened` for the first time."""
    link.opens += 1
    link.last_opened_at = now(session)
    if link.first_opened_at is None:
        before, link.first_opened_at = audit.snapshot(link), now(session)
        audit.record(
            session,
            actor,
            "client-links.open",
            project_id=link.project_id,
            client_link_id=link.id,
            before=before,
            after=audit.snapshot(link),
        )
        await publish(
            session,
            ClientLinkOpened(
                project_id=link.project_id,
                client_link_id=link.id,
                contact_id=link.contact_id,
                purpose=link.purpose,
                subject_kind=link.subject_kind,
                subject_id=link.subject_id,
            ),
        )


async def state(
    session: AsyncSession, actor: Actor, *, ref: LinkRef, answer: Answer, seen: str, text: str | None
) -> ClientStatement:
    """State something about what a link shows, once for each revision; the same again gives the statement there is.

    `seen`: the `content_hash` of what the contact saw. Raises what `read` raises; `Conflict`: `revision-outdated`
    where that is not the latest revision, `already-stated` where the contact has stated something else about it,
    `answer-closed` where the subject takes no answer (any more);
    `Invalid` (`wrong-answer`) for an answer that the link is not for.
    """
    opened = await read(session, ref, for_update=True)
    link, view = opened.link, opened.view
    if answer not in ANSWERS[Purpose(link.purpose)]:
        raise invalid_field("answer", "wrong-answer", f"This link is for another purpose: {link.purpose}.")
    if not view.is_latest or seen != opened.content_hash:
        raise Conflict(
            "There is a newer version of this than the one that was answered: look at it first.",
            code="revision-outdated",
        )
    if opened.statement is not None:
        return _same(opened.statement, answer, text)
    if view.refusal is not None:
        raise Conflict(view.refusal, code="answer-closed")
    statement_id: UUID | None = await session.scalar(
        insert(ClientStatement)
        .values(
            workspace_id=link.workspace_id,
            id=uuid7(),
            project_id=link.project_id,
            client_link_id=link.id,
            contact_id=link.contact_id,
            contact_name=opened.contact.name,
            purpose=link.purpose,
            subject_kind=link.subject_kind,
            subject_id=link.subject_id,
            revision=view.revision,
            content_hash=opened.content_hash,
            answer=answer.value,
            text=text,
            stated_at=now(session),
        )
        .on_conflict_do_nothing()
        .returning(ClientStatement.id)
    )
    statement = await _statement(session, link, view.revision)
    assert statement is not None
    if statement_id is None:  # stated meanwhile with another link
        return _same(statement, answer, text)
    link.used_at = now(session)
    purpose = Purpose(link.purpose)
    made = StatementMade(statement.id, link.contact_id, link.subject_id, purpose, view.revision, answer, text)
    if opened.subject.on_statement is not None:
        await opened.subject.on_statement(session, actor, made)
    audit.record(
        session,
        actor,
        "client-links.state",
        project_id=link.project_id,
        client_link_id=link.id,
        contact_id=link.contact_id,
        statement_id=statement.id,
        subject_id=link.subject_id,
        after={**audit.snapshot(statement), "content_hash": statement.content_hash},
    )
    await publish(
        session,
        ClientStated(
            project_id=link.project_id,
            client_link_id=link.id,
            contact_id=link.contact_id,
            statement_id=statement.id,
            purpose=link.purpose,
            subject_kind=link.subject_kind,
            subject_id=link.subject_id,
            revision=view.revision,
            content_hash=opened.content_hash,
            answer=answer.value,
        ),
    )
    return statement


def _same(statement: ClientStatement, answer: Answer, text: str | None) -> ClientStatement:
    if (statement.answer, statement.text) != (answer.value, text):
        raise Conflict(
            "You have answered already, and the first answer counts until there is a new version. Write to the agency "
            "if you want it changed.",
            code="already-stated",
        )
    return statement
