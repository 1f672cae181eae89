"""Meta's webhook requests: a verification request at first, then events, signed with the application's secret.

    GET   hub.mode=subscribe, hub.verify_token, hub.challenge: the response is the challenge
    POST  X-Hub-Signature-256: sha256=HMAC(app secret, body)
          {"object", "entry": [{"id", "time", "changes": [{"field", "value"}], "messaging": [...]}]}

Events have no ids. The id of a message's event is made from the message's id, that of any other from its
content, so that a repeat is recognised whenever it is sent.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from app.platforms import wire
from app.platforms.attachments import Objects
from app.platforms.capabilities import Event, HookRequest, HookResult, MessageChange, unparsed_event
from app.platforms.contract import Malformed, MissingPermission, RemotePerson
from app.platforms.meta import attachments, mail
from app.platforms.meta import wire_models as graph

SECRETS: Final = frozenset({"verify_token", "app_secret"})
MANUAL_SECRETS: Final = frozenset({"app_secret"})
SETTINGS: Final = {"app_secret": "client_secret"}
SIGNATURE: Final = "x-hub-signature-256"
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")
TAKEN: Final = "EVENT_RECEIVED"
MESSAGES: Final = frozenset({"messages", "messaging_postbacks", "message_edits", "message_edit"})
"""The fields of messages, which the samples of Meta's dashboard send as changes."""


def _any_time(value: object) -> datetime:
    """Seconds or milliseconds since 1970, also as a string; or ISO 8601.

    Entries have seconds, or milliseconds where they contain messages; the samples that Meta's dashboard sends
    mix all of these.
    """
    if isinstance(value, str) and (written := wire.iso(value)) is not None:
        return wire.bounded(written)
    number = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value) else value
    if type(number) is not int:
        raise ValueError("not a moment since 1970")
    return wire.since_1970(number, 1 if number < 2**33 else 1000)


AnyTime = Annotated[datetime, BeforeValidator(_any_time)]


class Change(wire.Model):
    """A changed field. The new value of a Page's or a person's own field may be a bare string."""

    field: wire.StorableText
    value: Any = None


class Entry(wire.Model):
    """What happened in one community. Instagram's own login puts a single change into the entry itself."""

    id: graph.NodeId
    time: AnyTime | None = None
    field: wire.StorableText | None = None
    value: Any = None
    changes: tuple[Any, ...] | None = None
    messaging: tuple[Any, ...] | None = None
    standby: tuple[Any, ...] | None = None
    """Messages that another application of the community is to answer."""


PARTS: Final = frozenset({"field", "value", "changes", "messaging", "standby"})
"""The fields of an entry that contain events."""


class Envelope(wire.Model):
    object: wire.StorableText
    entry: tuple[Any, ...]


class QuickReply(wire.Model):
    payload: wire.OptionalText = ""


class EventMessage(wire.Model):
    """A message. Of a button offered as a quick reply, the text is the button's title."""

    mid: graph.NodeId
    text: wire.OptionalText = ""
    quick_reply: QuickReply | None = None
    is_echo: bool | None = None
    is_deleted: bool | None = None
    attachments: Objects = ()


class Postback(wire.Model):
    """The customer pressed a button: "Get started", an ice breaker, one of a menu or of a message."""

    mid: graph.NodeId | None = None
    title: wire.OptionalText = ""
    payload: wire.OptionalText = ""


class MessageEdit(wire.Model):
    """The new text of a message. Instagram also sends one without a text when a message is new."""

    mid: graph.NodeId
    text: wire.OptionalText = ""
    num_edit: Annotated[int | None, BeforeValidator(lambda value: value if type(value) is int else None)] = None


class Messaging(wire.Model):
    sender: graph.Person
    recipient: graph.Person
    timestamp: AnyTime
    message: EventMessage


class Pressed(wire.Model):
    sender: graph.Person
    recipient: graph.Person
    timestamp: AnyTime
    postback: Postback


class Edited(wire.Model):
    """On Instagram without the sender."""

    timestamp: AnyTime
    message_edit: MessageEdit


ENVELOPE: Final = TypeAdapter(Envelope)
ToEvent = Callable[[Entry, Change], Event | None]
"""The event of a change; None where it is not used."""


def receive(call: HookRequest, secrets: Mapping[str, str], kind: str, to_event: ToEvent) -> HookResult:
    """Verify one request and parse its events about objects of this kind.

    An event that cannot be parsed does not affect the others of the request.
    """
    if "hub.mode" in call.query and not call.body:
        return HookResult(_challenge(call.query, secrets))
    _verify(call, secrets)
    return HookResult(TAKEN, parse_event(call.body, kind, to_event))


def parse_event(payload: bytes, kind: str, to_event: ToEvent) -> tuple[Event, ...]:
    """The events of a request's body about objects of this kind."""
    try:
        envelope = wire.parse_bytes(ENVELOPE, payload)
    except Malformed as error:
        return (unparsed_event(payload, error.message),)
    if envelope.object != kind:
        return ()
    return tuple(event for one in envelope.entry for event in _entry(kind, one, to_event))


def event_id(account: str, *content: object) -> str:
    """An id derived from the content: the same for the same content, different for any other."""
    text = json.dumps([account, *content], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _challenge(query: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    expected, received = secrets.get("verify_token", ""), query.get("hub.verify_token", "")
    if not expected or not hmac.compare_digest(received.encode(), expected.encode()):
        raise MissingPermission("the verification request does not carry the token agreed with Meta")
    challenge = query.get("hub.challenge", "")
    if CHALLENGE.fullmatch(challenge) is None:
        raise Malformed("there is no challenge to be echoed")
    return challenge


def _verify(call: HookRequest, secrets: Mapping[str, str]) -> None:
    secret = secrets.get("app_secret", "")
    signature = call.headers.get(SIGNATURE, "")
    expected = "sha256=" + hmac.new(secret.encode(), call.body, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(signature.encode(), expected.encode()):
        raise MissingPermission("the call is not signed with the application's secret")


def _entry(kind: str, raw: Any, to_event: ToEvent) -> list[Event]:
    """The events of one entry; a part that cannot be parsed becomes an unparsed event of its own."""
    try:
        entry = Entry.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        return [unparsed_event(_body(kind, raw), f"the entry is not understood {wire.validation_problem(error)}")]
    bare = {name: value for name, value in raw.items() if name not in PARTS}
    events: list[Event] = []

    def add_unparsed(name: str, part: Any, error: ValidationError) -> None:
        reason = f"one of the {name} is not understood {wire.validation_problem(error)}"
        events.append(unparsed_event(_body(kind, {**bare, name: [part]}), reason, entry.id))

    items = [*(entry.messaging or ()), *(entry.standby or ())]
    alone = () if entry.field is None else ({"field": entry.field, "value": entry.value},)
    for part in (*(entry.changes or ()), *alone):
        try:
            change = Change.model_validate(part)
            event = to_event(entry, change)
        except ValidationError as error:
            add_unparsed("changes", part, error)
            continue
        if event is not None:
            events.append(event)
        elif change.field in MESSAGES:
            items.append(change.value)
    for part in items:
        try:
            if (message_event := _messaging(entry, part)) is not None:
                events.append(message_event)
        except ValidationError as error:
            add_unparsed("messaging", part, error)
    return events


def _body(kind: str, entry: Any) -> bytes:
    return json.dumps({"object": kind, "entry": [entry]}).encode()


def _messaging(entry: Entry, part: Any) -> Event | None:
    """The event of one item of `messaging`; None where it reports that something was read, delivered or liked."""
    raw = json.dumps(part)
    if not isinstance(part, dict) or "message" in part:
        return _message(entry, Messaging.model_validate_json(raw))
    if "postback" in part:
        return _postback(entry, Pressed.model_validate_json(raw))
    return _edit(entry, Edited.model_validate_json(raw)) if "message_edit" in part else None


def _postback(entry: Entry, item: Pressed) -> Event | None:
    """A pressed button as the customer's message, with the button's title."""
    pressed = item.postback
    text = pressed.title or pressed.payload
    if not text or item.sender.id == entry.id:
        return None
    content_id = event_id(entry.id, item.sender.id, item.timestamp.isoformat(), pressed.title, pressed.payload)
    author = RemotePerson(item.sender.id, "")
    message = mail.message(pressed.mid or f"postback-{content_id}", item.sender.id, author, text, item.timestamp)
    return Event(content_id if pressed.mid is None else event_id(entry.id, pressed.mid), entry.id, messages=(message,))


def _edit(entry: Entry, item: Edited) -> Event | None:
    edit = item.message_edit
    if not edit.text or edit.num_edit == 0:
        return None
    change = MessageChange(edit.mid, item.timestamp, text=edit.text)
    return Event(event_id(entry.id, edit.mid, "edit", edit.num_edit, edit.text), entry.id, changes=(change,))


def _message(entry: Entry, item: Messaging) -> Event:
    received = item.message
    if received.is_deleted:
        return Event(event_id(entry.id, received.mid, "deleted"), entry.id, deleted_ids=(received.mid,))
    # An echo's sender may be the account under another of its ids; what the account receives is never its own.
    is_own = item.sender.id == entry.id or (bool(received.is_echo) and item.recipient.id != entry.id)
    customer = item.recipient if is_own else item.sender
    author = RemotePerson(item.sender.id, "", is_community=is_own)
    text = received.text or (received.quick_reply.payload if received.quick_reply is not None else "")
    attached = attachments.of_message_event(received.attachments)
    message = mail.message(received.mid, customer.id, author, text, item.timestamp, attached)
    return Event(event_id(entry.id, received.mid), entry.id, messages=(message,))
