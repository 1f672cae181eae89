"""Replies and posts are created once, and a lost response is never reported as a failure."""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from app.platforms.capabilities import OutgoingPost, Publishes, Replies, ReplyTo
from app.platforms.contract import Adapter, MessageKind, OutcomeUnknown, Rejected, SendReceipt
from sandbox.ledger import Record
from tests.platforms.contract.checks import check, has
from tests.platforms.contract.finding import own_messages, remote_message, remote_post, reply_to
from tests.platforms.contract.stage import Subject, recorded_at
from tests.platforms.specimens import Specimen, drafts

TEXT = "Yes, until six"


# ── replies ───────────────────────────────────────────────────────────────────────────────────────


def _question(s: Subject, kind: MessageKind) -> Record:
    match kind:
        case MessageKind.COMMENT:
            return s.comment(s.post()["id"])
        case MessageKind.MENTION:
            return s.mention()
        case _:
            return s.message()


def _each_kind(name: str) -> Callable[[Callable[[Subject, MessageKind], Awaitable[None]]], None]:
    """Register a check for each kind of message that can be answered; a mention is answered like a comment."""
    supported: dict[MessageKind, Callable[[Specimen], bool]] = {
        MessageKind.COMMENT: lambda about: about.comment is not None,
        MessageKind.MENTION: lambda about: MessageKind.MENTION in about.listed_by_conversations,
        MessageKind.MESSAGE: lambda about: about.message is not None,
    }

    def add(run: Callable[[Subject, MessageKind], Awaitable[None]]) -> None:
        for kind, answered in supported.items():

            def applies(
                adapter: type[Adapter], about: Specimen, answered: Callable[[Specimen], bool] = answered
            ) -> bool:
                return issubclass(adapter, Replies) and answered(about)

            async def of_one(s: Subject, kind: MessageKind = kind) -> None:
                await run(s, kind)

            check(f"reply to a {kind.value}: {name}", applies)(of_one)

    return add


async def _reply(s: Subject, to: ReplyTo, key: str = "key-1") -> SendReceipt:
    made = s.adapter()
    assert isinstance(made, Replies)
    return await made.reply(s.c, to, TEXT, key)


@_each_kind("created once, in the right place")
async def replied(s: Subject, kind: MessageKind) -> None:
    question = _question(s, kind)
    to = reply_to(await remote_message(s, question))
    assert to.kind is kind, f"it is returned as a {to.kind}"
    before = len(s.accepted("reply"))
    s.later()
    sent = await _reply(s, to)
    made = _only_record(s.accepted("reply")[before:])
    assert TEXT in made["text"], "the text differs"
    assert made["via"] == kind.value, f"it is a {made['via']}"
    if kind is MessageKind.MESSAGE:
        assert made["person"] == question["person"], "another person was answered"
    else:
        assert made.get("parent") == question["id"], "another message was answered"
        assert made.get("post") == question.get("post"), "the reply is below another post"
    assert sent.external_id, "the receipt has no id"
    sent_at = sent.sent_at
    assert sent_at is None or abs((sent_at - recorded_at(made)).total_seconds()) < 1, (
        f"sent at {sent_at}, not {made['at']}"
    )
    listed = [one for one in await own_messages(s, question) if TEXT in one.text]
    assert not listed or sent.external_id in {one.external_id for one in listed}, "lists have another id for it"
    certain = {one.thread_id for one in listed if not one.guesses_thread}
    assert certain <= {to.thread_id}, "lists return it in another thread"


@_each_kind("a lost response is unknown, sent once")
async def reply_lost(s: Subject, kind: MessageKind) -> None:
    to = reply_to(await remote_message(s, _question(s, kind)))
    before = len(s.accepted("reply"))
    await _lost(s, partial(_reply, s, to))
    _only_record(s.accepted("reply")[before:])
    if s.spec.replies_dedup_window is not None:
        sent = await _reply(s, to)
        assert len(s.accepted("reply")) == before + 1, "the key does not make a repeat harmless"
        assert sent.external_id, "the receipt has no id"


def _only_record(made: list[Record]) -> Record:
    assert len(made) == 1, f"it happened {len(made)} times"
    return made[0]


async def _lost(s: Subject, change: Callable[[], Awaitable[SendReceipt]]) -> None:
    """Run a change that reaches the sandbox and whose response is lost."""
    s.transport.loses = s.changes
    with pytest.raises(OutcomeUnknown):
        await change()
    s.transport.loses = lambda _: False


# ── posts ─────────────────────────────────────────────────────────────────────────────────────────


async def _publish(s: Subject, draft: OutgoingPost, key: str = "key-1") -> SendReceipt:
    made = s.adapter()
    assert isinstance(made, Publishes)
    return await made.publish(s.c, draft, key)


@check("publish: created once, with its pictures", has(Publishes))
async def published(s: Subject) -> None:
    for number, draft in enumerate(drafts(s.spec).values()):
        before = len(s.accepted("post"))
        s.later(3600)  # some platforms limit posts per hour
        sent = await _publish(s, draft, f"key-{number}")
        made = _only_record(s.accepted("post")[before:])
        assert draft.text in made["text"], "the text differs"
        pictures = len(made.get("media", []))
        assert pictures == len(draft.pictures), f"{pictures} pictures instead of {len(draft.pictures)}"
        assert sent.external_id, "the receipt has no id"
        if "posts" not in s.about.not_offered:
            assert sent.external_id == await remote_post(s, made["id"]), "lists have another id for it"


@check("publish: a lost response is unknown, sent once", has(Publishes))
async def publication_lost(s: Subject) -> None:
    for number, draft in enumerate(drafts(s.spec).values()):
        s.later(3600)
        before = len(s.accepted("post"))
        await _lost(s, partial(_publish, s, draft, f"key-{number}"))
        _only_record(s.accepted("post")[before:])
        may = s.spec.publishing
        if may is not None and may.dedup_window is not None:
            await _publish(s, draft, f"key-{number}")
            assert len(s.accepted("post")) == before + 1, "the key does not make a repeat harmless"


@check("publish: an invalid post is not sent", has(Publishes))
async def refused(s: Subject) -> None:
    requests_before = len(s.transport.requests)
    for draft in drafts(s.spec).values():
        with pytest.raises(Rejected):
            await _publish(s, OutgoingPost("x" * (s.spec.text_limit + 1), draft.pictures))
    assert len(s.transport.requests) == requests_before, "a request was sent"
