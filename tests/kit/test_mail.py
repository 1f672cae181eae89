"""Mail: what a message looks like, and what each failure of a mail server means."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from app.kit import mail
from app.kit.mail import MailDeferred, MailInDoubt, MailMessage, MailRefused
from app.settings import Settings
from tests.mail_server import PASSWORD, MailServer, mail_server

AT = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
LETTER = MailMessage(
    to="boris@agency.example",
    name="Борис",
    subject="Клиент ждёт ответа",
    text="Здравствуйте!\n\nСмотрите https://instep.example/x?a=1&b=2\nи <отвечайте>.",
    message_id="0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a",
    at=AT,
    language="ru",
)


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


async def test_a_message_arrives_as_text_and_as_html(server: MailServer, configuration: Settings) -> None:
    await mail.send(server.settings(configuration), LETTER)
    (arrived,) = server.to("boris@agency.example")
    assert arrived["from"] == "Step & Co <instep@agency.example>"
    assert arrived["to"] == "Борис <boris@agency.example>"
    assert arrived["subject"] == "Клиент ждёт ответа"
    assert arrived["message-id"] == "<0190f5a2-7c1e-7d3a-9b44-1f2e3d4c5b6a@agency.example>"
    assert arrived["auto-submitted"] == "auto-generated"
    assert arrived["date"].datetime == AT
    plain, rich = arrived.get_body(("plain",)), arrived.get_body(("html",))
    assert plain is not None
    assert plain.get_content().strip().replace("\r\n", "\n") == LETTER.text
    assert rich is not None
    assert '<a href="https://instep.example/x?a=1&amp;b=2">' in rich.get_content()
    assert "&lt;отвечайте&gt;" in rich.get_content()


async def test_a_repeat_is_the_same_message(server: MailServer, configuration: Settings) -> None:
    for _ in range(2):
        await mail.send(server.settings(configuration), LETTER)
    assert len(server.accepted) == 2
    assert len(set(server.raw)) == 1


ANYTHING = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)


@given(name=ANYTHING, subject=ANYTHING, text=ANYTHING)
def test_nothing_that_is_written_becomes_a_header(name: str, subject: str, text: str) -> None:
    settings = MailServer(port=25).settings(Settings(_env_file=None, database_url="postgresql://x/y", redis_url="z"))
    made = mail.message(settings, replace(LETTER, name=name, subject=subject, text=text))
    plain = mail.message(settings, LETTER)
    assert made.keys() == plain.keys()
    head = made.as_bytes().partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert names == plain.keys()
    assert [one.addr_spec for one in made["to"].addresses] == ["boris@agency.example"]


@pytest.mark.parametrize(
    "address", ["a\r\nBcc: x@y.example", "a,b@c.example", "<x>@y.example", "a@b@c.example", "борис@agency.example", "x"]
)
async def test_what_is_no_address_is_refused(address: str, server: MailServer, configuration: Settings) -> None:
    with pytest.raises(MailRefused):
        await mail.send(server.settings(configuration), replace(LETTER, to=address))
    assert server.accepted == []


async def test_a_domain_may_have_any_letters(server: MailServer, configuration: Settings) -> None:
    await mail.send(server.settings(configuration), replace(LETTER, to="boris@агентство.рф"))
    assert server.recipients == ["boris@xn--80aeci4bhthb.xn--p1ai"]


async def test_a_refusal_for_now_is_deferred(server: MailServer, configuration: Settings) -> None:
    server.on_recipient = ["450 greylisted, come back"]
    server.on_data = ["451 later"]
    for reason in ("450: greylisted, come back", "451: later"):
        with pytest.raises(MailDeferred, match=reason):
            await mail.send(server.settings(configuration), LETTER)
    assert server.accepted == []
    await mail.send(server.settings(configuration), LETTER)
    assert len(server.accepted) == 1


async def test_a_refusal_for_good_has_its_reason(server: MailServer, configuration: Settings) -> None:
    server.on_recipient = ["550 no such person"]
    server.on_data = ["554 this is spam"]
    for reason in ("550: no such person", "554: this is spam"):
        with pytest.raises(MailRefused, match=reason):
            await mail.send(server.settings(configuration), LETTER)
    assert server.accepted == []


async def test_a_connection_lost_after_the_message_leaves_a_doubt(server: MailServer, configuration: Settings) -> None:
    server.on_data = [None]
    with pytest.raises(MailInDoubt):
        await mail.send(server.settings(configuration), LETTER)
    assert len(server.accepted) == 1


async def test_a_server_that_is_away_defers(server: MailServer, configuration: Settings) -> None:
    settings = server.settings(configuration, smtp_port=9)
    with pytest.raises(MailDeferred):
        await mail.send(settings, LETTER)
    with pytest.raises(MailDeferred):
        await mail.check(settings)


async def test_a_server_that_stalls_is_given_up(
    configuration: Settings, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT", 0.2)
    writers: list[asyncio.StreamWriter] = []
    stalled = await asyncio.start_server(lambda reader, writer: writers.append(writer), "127.0.0.1", 0)
    port = stalled.sockets[0].getsockname()[1]
    with pytest.raises(MailDeferred):
        await mail.send(server.settings(configuration, smtp_port=port), LETTER)
    stalled.close()
    for writer in writers:
        writer.close()


async def test_a_server_without_encryption_is_not_used_with_it(server: MailServer, configuration: Settings) -> None:
    with pytest.raises(MailDeferred):
        await mail.send(server.settings(configuration, smtp_tls="starttls"), LETTER)
    assert server.accepted == []


@pytest.mark.parametrize(("password", "accepted"), [(PASSWORD, True), ("another", False)])
async def test_it_signs_in(password: str, accepted: bool, configuration: Settings) -> None:
    async with mail_server(wants_password=True) as server:
        settings = server.settings(configuration, smtp_user="instep", smtp_password=SecretStr(password))
        if accepted:
            await mail.check(settings)
            await mail.send(settings, LETTER)
        else:
            with pytest.raises(MailDeferred, match="does not accept the sign-in"):
                await mail.check(settings)
        assert len(server.accepted) == accepted


@pytest.mark.parametrize(
    ("selected", "missing"),
    [
        ({"smtp_host": "mail.example"}, "INSTEP_SMTP_SENDER"),
        ({"smtp_user": "x"}, "INSTEP_SMTP_PASSWORD"),
        ({"smtp_sender": "no address"}, "smtp_sender"),
        ({"smtp_sender": "a@b.example\nBcc: x@y.example"}, "smtp_sender"),
    ],
)
def test_settings_that_do_not_fit_are_refused(selected: dict[str, str], missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        Settings(_env_file=None, database_url="postgresql://x/y", redis_url="z", **selected)  # type: ignore[arg-type]
