"""Mail: the only maker of messages, and the only one who speaks SMTP.

A message has one recipient, a plain text and the same as simple HTML, and says that a program wrote it
(`Auto-Submitted`), so that no absence note answers it. Its `Message-ID` is its caller's: a repeat under the same one
is recognised by the receiving side. No text reaches a header with a line break in it.

What a failure means for the caller:

    MailError
    ├── MailDeferred     certainly not accepted, and may be later: no connection, 4xx, a sign-in that is refused
    ├── MailRefused      certainly not accepted, and never will be: 5xx, an address that is none
    └── MailInDoubt      the connection was lost, or no answer came, while the message was handed over

Only the last one may have been delivered.
"""

import html
import re
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import Final

import aiosmtplib
import idna

from app.settings import Settings

TIMEOUT: Final = 20.0
"""Seconds for each command."""
_PERMANENT: Final = 500
_MOST_IN_SUBJECT: Final = 200
_URL: Final = re.compile(r"https?://[^\s<>\"]+")


class MailError(Exception):
    """A message was not sent, or may not have been; the text says why, for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MailDeferred(MailError):
    """It was not accepted; later it may be."""


class MailRefused(MailError):
    """It was not accepted, and a repeat would not be either."""


class MailInDoubt(MailError):
    """It may have been accepted."""


@dataclass(frozen=True, slots=True)
class MailMessage:
    """A message to one person."""

    to: str
    """The address."""
    name: str
    subject: str
    text: str = field(repr=False)
    """Paragraphs, separated by empty lines; addresses of pages become links in the HTML."""
    message_id: str
    """The part before the `@`: letters, digits, dots and hyphens."""
    at: datetime
    """Its date. A repeat has the same one."""
    language: str = "en"


def is_set_up(settings: Settings) -> bool:
    """Whether this installation sends mail."""
    return settings.smtp_host is not None


def message(settings: Settings, mail: MailMessage) -> EmailMessage:
    """A message as it is sent: equal for equal arguments. `MailRefused` for an address to which none can be sent."""
    assert settings.smtp_sender is not None, "the settings say so where there is a server"
    name, address = parseaddr(settings.smtp_sender)
    made = EmailMessage(policy=SMTP_POLICY)
    made["From"] = _address(name, address)
    made["To"] = _address(mail.name, mail.to)
    made["Subject"] = _one_line(mail.subject)[:_MOST_IN_SUBJECT]
    made["Date"] = format_datetime(mail.at)
    made["Message-ID"] = f"<{mail.message_id}@{address.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    made.set_content(mail.text)
    made.add_alternative(_as_html(mail), subtype="html")
    made["Content-Language"] = mail.language  # what is set before the content is removed with it
    # Python chooses a random boundary; a repeat is to be the same message.
    made.set_boundary(f"=-{mail.message_id}")
    return made


async def send(settings: Settings, mail: MailMessage) -> None:
    """Hand a message to the mail server; `MailError` where it was not accepted, or may not have been."""
    made = message(settings, mail)
    sender, recipient = (str(made[header].addresses[0].addr_spec) for header in ("From", "To"))
    client = _client(settings)
    try:
        await _connect(client, settings)
        await _open_envelope(client, sender, recipient)
        await _hand_over(client, made.as_bytes())
    finally:
        client.close()


async def check(settings: Settings) -> None:
    """Connect and sign in, and send nothing; `MailDeferred` where that does not work."""
    client = _client(settings)
    try:
        await _connect(client, settings)
    finally:
        client.close()


def _client(settings: Settings) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        use_tls=settings.smtp_tls == "tls",
        start_tls=settings.smtp_tls == "starttls",
        timeout=TIMEOUT,
        # A name that everybody may know: the machine's own is nobody's business.
        local_hostname="instep",
    )


async def _connect(client: aiosmtplib.SMTP, settings: Settings) -> None:
    try:
        await client.connect()
        if settings.smtp_user is not None and settings.smtp_password is not None:
            await client.login(settings.smtp_user, settings.smtp_password.get_secret_value())
    except aiosmtplib.SMTPAuthenticationError as error:
        # Also with 5xx: it is about the settings, which somebody will mend, and not about the message.
        raise MailDeferred(f"the mail server does not accept the sign-in ({error.code})") from None
    except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
        raise MailDeferred(f"the mail server cannot be used: {_explained(error)}") from None


async def _open_envelope(client: aiosmtplib.SMTP, sender: str, recipient: str) -> None:
    try:
        await client.mail(sender)
        await client.rcpt(recipient)
    except aiosmtplib.SMTPResponseException as error:
        raise _answered(error) from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise MailDeferred(f"the mail server broke off before the message: {_explained(error)}") from None


async def _hand_over(client: aiosmtplib.SMTP, content: bytes) -> None:
    """A loss before the server asks for the content counts as doubt too: the library does not tell them apart."""
    try:
        await client.data(content)
    except aiosmtplib.SMTPResponseException as error:
        raise _answered(error) from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise MailInDoubt(f"no answer came after the message: {_explained(error)}") from None


def _answered(error: aiosmtplib.SMTPResponseException) -> MailError:
    """By the class of the code; what is no code of a refusal says that it may work later."""
    meaning = MailRefused if error.code >= _PERMANENT else MailDeferred
    return meaning(f"the mail server says {error.code}: {_one_line(error.message)[:300]}")


def _explained(error: Exception) -> str:
    return _one_line(str(error))[:300] or type(error).__name__


def _one_line(text: str) -> str:
    """A text without control characters, each run of white space a space."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise MailRefused("the address has letters other than ASCII before its @, which mail servers do not take")
    try:
        ascii_domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
        parsed = Address(_one_line(name), addr_spec=f"{local}@{ascii_domain}")
    except (ValueError, IndexError, MessageError):  # idna's errors are ValueErrors
        raise MailRefused("the address is none of e-mail") from None
    if parsed.addr_spec != f"{local}@{ascii_domain}":  # it has a comment, say
        raise MailRefused("the address is none of e-mail")
    return parsed


def _as_html(mail: MailMessage) -> str:
    paragraphs = "".join(
        f"<p>{_linked(paragraph).replace(chr(10), '<br>')}</p>\n"
        for paragraph in re.split(r"\n{2,}", mail.text.strip())
    )
    return (
        f'<!doctype html>\n<html lang="{html.escape(mail.language)}">\n<head><meta charset="utf-8">'
        f"<title>{html.escape(_one_line(mail.subject))}</title></head>\n"
        f'<body style="font-family: sans-serif; line-height: 1.5">\n{paragraphs}</body>\n</html>\n'
    )


def _linked(text: str) -> str:
    """A paragraph as HTML, in which the addresses of pages are links."""
    parts, end = [], 0
    for match in _URL.finditer(text):
        url = html.escape(match[0])
        parts += [html.escape(text[end : match.start()]), f'<a href="{url}">{url}</a>']
        end = match.end()
    return "".join((*parts, html.escape(text[end:])))
