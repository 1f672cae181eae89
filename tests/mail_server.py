"""A mail server on a free port of this process, whose ledger says what it accepted."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from app.settings import Settings

PASSWORD = "a mailbox's password"


@dataclass
class MailServer:
    """What it accepted, and how it answers."""

    port: int = 0
    accepted: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    on_recipient: list[str] = field(default_factory=list)
    """Answers to the next `RCPT TO`, instead of accepting it."""
    on_data: list[str | None] = field(default_factory=list)
    """Answers to the next messages instead of accepting them; None: accept it, and break the connection instead of
    answering. An answer that begins with 2 is given after it was accepted."""
    on_accept: Callable[[], None] | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.on_recipient:
            return self.on_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = self.on_data.pop(0) if self.on_data else "250 OK"
        if answer is not None and not answer.startswith("2"):
            return answer
        content = envelope.content
        assert isinstance(content, bytes)
        parsed = message_from_bytes(content, policy=default)
        assert isinstance(parsed, EmailMessage)
        self.accepted.append(parsed)
        self.raw.append(content)
        self.recipients += envelope.rcpt_tos
        if answer is None:
            server.transport.abort()
            return "250 too late"
        return answer

    def to(self, address: str) -> list[EmailMessage]:
        """What was accepted for an address."""
        return [one for one, to in zip(self.accepted, self.recipients, strict=True) if to == address]

    @property
    def distinct(self) -> set[str]:
        """The `Message-ID`s: what a receiver that drops repeats has."""
        return {str(one["message-id"]) for one in self.accepted}

    def settings(self, settings: Settings, **more: Any) -> Settings:
        """The configuration of a service that sends through this server."""
        return settings.model_copy(
            update={
                "smtp_host": "127.0.0.1",
                "smtp_port": self.port,
                "smtp_tls": "none",
                "smtp_sender": "Step & Co <instep@agency.example>",
                **more,
            }
        )


@asynccontextmanager
async def mail_server(*, wants_password: bool = False) -> AsyncIterator[MailServer]:
    """A running mail server."""
    made = MailServer()
    protocols: list[SMTP] = []

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that a password without encryption is not safe
            protocols.append(
                SMTP(
                    made,
                    hostname="mail.example",
                    loop=asyncio.get_running_loop(),
                    authenticator=authenticate,
                    auth_required=wants_password,
                    auth_require_tls=False,
                )
            )
        return protocols[-1]

    running = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    made.port = running.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        running.close()
        for one in protocols:
            if one.transport is not None:
                one.transport.close()
        await asyncio.sleep(0)  # the transports are closed in the loop's next turn
