"""Telegram channels, with their discussion groups, through the Bot API 10.1.

The community's token is a bot's, which must be an administrator of the channel, and of the discussion
group too (or have its privacy mode turned off). The Bot API has no history, no lists and no views: what
happens is told once, through `updates` or a webhook, one of them at a time, and kept for 24 hours. It
never tells of deletions, nor of what the bot itself writes. Telegram knows no key by which a repeated
message is dropped, and no way to look back: an unknown outcome is for a person to settle.

Whom an event concerns: the channel or group it happened in. A message to the bot itself has no channel.
It belongs to every community of the token, so the bot's own id is an alias of each: where a bot serves
several, whoever reads the stream has to choose one. A hook's call does not say which bot it is for, and
the hook is one community's: there the message concerns that one (`account_id` None).

A comment below another comment tells that comment, not the post. An album comes as one update for each
part; `updates` joins them, a hook's call knows of one part alone and takes that with the words.

Sources: Bot API 10.1, core.telegram.org/bots/faq. Unverified: that limits hold per chat as named in
`RATE_LIMITS`; the words by which refusals are told apart (`errors`); that what is written in a channel's own
direct messages (Bot API 9.2) could be told to belong to it: such messages are left out.
"""

import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import TypeAdapter

from app.platforms import guards, outgoing, wire
from app.platforms.addresses import on_site
from app.platforms.capabilities import (
    Event,
    HookRequest,
    HookResult,
    HookState,
    OutgoingPost,
    ReplyTo,
    TokenState,
    unparsed_event,
)
from app.platforms.contract import (
    CALLS,
    COST,
    Address,
    AuthExpired,
    CommunitySnapshot,
    Cost,
    Credentials,
    Gone,
    LimitScope,
    Malformed,
    MessageKind,
    Metric,
    MissingPermission,
    Page,
    PlatformError,
    PostMetrics,
    Publishing,
    RateLimit,
    Rejected,
    RemoteMessage,
    RemotePost,
    SendReceipt,
    Spec,
    TextUnit,
    Token,
)
from app.platforms.telegram import errors, translate
from app.platforms.telegram import wire_models as telegram

T = TypeVar("T")

STREAM_PAGE = 100
CHANGES = frozenset({"sendMessage", "sendPhoto", "sendMediaGroup"})
SENDS, GROUP_SENDS = "sends", "group sends"
RATE_LIMITS = (
    RateLimit(30, 1, LimitScope.TOKEN),
    RateLimit(1, 1, LimitScope.COMMUNITY, SENDS),
    RateLimit(20, 60, LimitScope.COMMUNITY, GROUP_SENDS),
)
SECRET_HEADER = "x-telegram-bot-api-secret-token"

HOSTS = frozenset({"t.me", "www.t.me", "telegram.me", "telegram.dog"})
NAME = re.compile(r"[a-z][a-z0-9_]{2,30}[a-z0-9]")
PATH = re.compile(r"/(?:s/)?([A-Za-z0-9_]+)(?:/\d+)?/?")
PRIVATE_PATH = re.compile(r"/c/(\d{1,12})(?:/\d+)*/?")
NUMBER = re.compile(r"-1(\d{12})")
NO_NAMES = frozenset({"joinchat", "addstickers", "addemoji", "addlist", "addtheme", "share", "proxy", "login", "boost"})


class StreamPosition(wire.Shape):
    """How far the stream was read."""

    next: wire.Count | None = None
    """The first update that was not; None: those that wait, whatever their numbers."""
    albums: tuple[str, ...] = ()
    """Those of the last page: more parts of them may come with the next."""


class Telegram:
    """See the module."""

    spec: ClassVar[Spec] = Spec(
        key="telegram",
        title="Telegram",
        api_version="10.1",
        base_url="https://api.telegram.org",
        metrics=frozenset({Metric.REACTIONS, Metric.COMMENTS}),
        rate_limits=RATE_LIMITS,
        metrics_batch=100,
        text_limit=4096,
        tokens=frozenset({Token.COMMUNITY}),
        public=False,
        address_hint="https://t.me/name",
        hook_secrets=frozenset({"secret"}),
        text_unit=TextUnit.UTF16,
        publishing=Publishing(pictures=10, picture_bytes=10 * 1000 * 1000, caption_limit=1024),
        scopes={Token.COMMUNITY: (errors.ADMINISTRATOR, errors.POST, errors.READ_GROUP)},
        pushed_metrics=frozenset({Metric.REACTIONS}),
        counted_metrics=frozenset({Metric.COMMENTS}),
        history=False,
    )

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def address(cls, text: str) -> Address:
        """`https://t.me/name`, `t.me/name`, `@name`, `t.me/c/1234` or `-1001234…`."""
        text = text.strip()
        number, name = NUMBER.fullmatch(text), text.removeprefix("@")
        if "/" in text:
            url = on_site(text, HOSTS)
            number = PRIVATE_PATH.fullmatch(url.path) if url is not None else None
            path = PATH.fullmatch(url.path) if url is not None else None
            name = path[1] if path is not None else ""
        if number is not None and int(number[1]) > 0:
            return Address(canonical=f"https://t.me/c/{int(number[1])}")
        name = name.lower()
        if NAME.fullmatch(name) is None or name in NO_NAMES:
            raise ValueError(
                "a Telegram channel's address looks like https://t.me/name, or -1001234567890 where it has no name; "
                "an invitation does not tell which channel it is"
            )
        return Address(canonical=f"https://t.me/{name}")

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """Its `aliases` are the discussion group, where comments are written, and the bot itself."""
        chat = await self._call(c, telegram.CHAT, "getChat", {"chat_id": _chat(c)})
        if chat.type not in {"channel", "supergroup"}:
            raise Rejected("this is neither a channel nor a supergroup")
        size = await self._call(c, telegram.COUNT, "getChatMemberCount", {"chat_id": chat.id})
        others = {_bot(c), None if chat.linked_chat_id is None else str(chat.linked_chat_id)}
        return CommunitySnapshot(
            external_id=str(chat.id),
            title=chat.title,
            url=translate.page(chat),
            size=size,
            aliases=frozenset(other for other in others if other is not None),
        )

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """None: there is no list of them. New ones come with `updates`."""
        return Page((), cursor, more=False)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """Nothing: reactions come with `updates`, comments are counted there."""
        guards.check_batch(ids, self.spec)
        return tuple(translate.metrics(post_id) for post_id in ids)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """None: there is no list of them. New ones come with `updates`."""
        return Page((), cursor, more=False)

    async def updates(self, c: Credentials, cursor: str | None) -> Page[Event]:
        """All that happened around the bot, for all of its communities.

        A number is named only as long as Telegram remembers what lies below it: after a quiet week
        it starts with any other number, and a higher one would give up what nobody has read. An update that
        is not understood stops no others.
        """
        position = wire.load(StreamPosition, cursor) or StreamPosition()
        form: dict[str, object] = {"limit": STREAM_PAGE, "timeout": 0, "allowed_updates": telegram.UPDATES}
        if position.next is not None:
            form["offset"] = position.next
        response = await wire.read(self._http, self._request(c, "getUpdates", form), self._but_a_hook)
        if response.status_code == httpx.codes.CONFLICT:
            return Page((), wire.dump(StreamPosition()), more=False)
        found = wire.parse(telegram.STREAM, response).result
        if not found:
            return Page((), wire.dump(StreamPosition()), more=False)
        updates, unparsed = translate.parse_updates(found)
        own_account_ids = {*c.aliases, c.external_id or ""}
        found_events = (
            translate.to_event(update, bot=_bot(c), own_account_ids=own_account_ids)
            for update in translate.joined(updates, seen=position.albums)
        )
        position = StreamPosition(next=translate.last(found) + 1, albums=tuple(translate.albums_of(updates)))
        events = tuple(event for event in found_events if event is not None)
        return Page((*events, *unparsed), wire.dump(position), more=len(found) >= STREAM_PAGE)

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Answer in the discussion group or the private chat. Telegram has no field for `key`."""
        chat, _, number = to.external_id.partition("_")
        private = to.kind is MessageKind.MESSAGE
        try:
            # A customer may take back what they wrote, and still wait for the answer.
            answered = {"message_id": int(number), "allow_sending_without_reply": private}
            form = {"chat_id": int(chat), "text": text, "reply_parameters": answered}
        except ValueError:
            raise Rejected("this is no message of Telegram's") from None
        made = await self._call(c, telegram.SENT, "sendMessage", form)
        url = None if private else translate.seen_at(made.chat, made.message_id)
        return SendReceipt(external_id=translate.message_id(made), sent_at=made.date, url=url)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """One request, pictures and all; an album is known by its first part. Telegram has no field for `key`."""
        outgoing.check(draft, self.spec)
        chat = _chat(c)
        files = {
            f"picture{number}": (f"{number}", picture.content, picture.media_type)
            for number, picture in enumerate(draft.pictures)
        }
        if not files:
            made = await self._call(c, telegram.SENT, "sendMessage", {"chat_id": chat, "text": draft.text})
        elif len(files) == 1:
            [photo] = files.values()
            form: dict[str, object] = {"chat_id": chat, "caption": draft.text}
            made = await self._call(c, telegram.SENT, "sendPhoto", form, {"photo": photo})
        else:
            media = [{"type": "photo", "media": f"attach://{name}"} for name in files]
            media[0]["caption"] = draft.text
            form = {"chat_id": chat, "media": json.dumps(media)}
            parts = await self._call(c, telegram.SENT_ALBUM, "sendMediaGroup", form, files)
            made = min(parts, key=lambda part: part.message_id)
        url = f"{translate.page(made.chat)}/{made.message_id}"
        return SendReceipt(external_id=str(made.message_id), sent_at=made.date, url=url)

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """What the bot may do in the channel, and whether it hears the discussion group. It does not expire."""
        me = await self._call(c, telegram.ME, "getMe", {})
        here = await self._member(c, _chat(c), me.id)
        missing = []
        if here is None or here.status not in {"administrator", "creator"}:
            missing += [errors.ADMINISTRATOR, errors.POST]
        elif here.can_post_messages is False:
            missing.append(errors.POST)
        for group in sorted(alias for alias in c.aliases if alias.startswith("-")):
            there = await self._member(c, group, me.id)
            present = there is not None and there.status not in {"left", "kicked"}
            if there is None or not (there.status == "administrator" or (present and me.can_read_all_group_messages)):
                missing.append(errors.READ_GROUP)
        return {Token.COMMUNITY: TokenState(missing_scopes=tuple(missing))}

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        """One update. `secrets`: `secret`, the text that was given to `subscribe`, which every call carries."""
        secret = secrets.get("secret", "")
        header = call.headers.get(SECRET_HEADER, "")
        if not secret or not hmac.compare_digest(header.encode(), secret.encode()):
            raise MissingPermission("the call does not carry the secret agreed with Telegram")
        return HookResult("ok", cls.parse_event(call.body))

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        """One update."""
        try:
            event = translate.to_event(wire.parse_bytes(telegram.UPDATE, payload), bot=None)
        except Malformed as error:
            return (unparsed_event(payload, error.message),)
        return () if event is None else (event,)

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Have a bot's updates, of all its communities, sent to `url`; `updates` is then empty."""
        form = {"url": url, "secret_token": secrets["secret"], "allowed_updates": telegram.UPDATES}
        await self._call(c, telegram.DONE, "setWebhook", {**form, "drop_pending_updates": False})
        return {}

    async def unsubscribe(self, c: Credentials, url: str) -> None:
        """`updates` then brings what waits."""
        if (await self._call(c, telegram.WEBHOOK, "getWebhookInfo", {})).url == url:
            await self._call(c, telegram.DONE, "deleteWebhook", {"drop_pending_updates": False})

    async def subscription(self, c: Credentials, url: str) -> HookState:
        """Telegram tells its last failure, however long ago that was: it counts while updates wait."""
        hook = await self._call(c, telegram.WEBHOOK, "getWebhookInfo", {})
        waiting, failed = hook.pending_update_count, hook.last_error_date is not None
        return HookState(
            subscribed=hook.url == url,
            delivering=True if not waiting else False if failed else None,
            waiting=waiting,
            detail=wire.explanation(hook.last_error_message, _secrets(c.tokens.get(Token.COMMUNITY, ""))),
        )

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """See `errors`."""
        request = wire.request_of(response)
        changes = request is not None and request.url.path.rpartition("/")[2] in CHANGES
        cost = request.extensions.get(COST) if request is not None else None
        secrets = _secrets(cost.token) if isinstance(cost, Cost) else ()
        return errors.classified(response, changes=changes, secrets=secrets)

    def _but_a_hook(self, response: httpx.Response) -> PlatformError | None:
        """The stream is not to be read while updates go to a hook; that is no failure."""
        complaint = errors.refusal(response)
        hooked = (
            complaint is not None
            and response.status_code == httpx.codes.CONFLICT
            and "webhook is active" in complaint.description
        )
        return None if hooked else self.classify(response)

    async def _member(self, c: Credentials, chat: str, user: int) -> telegram.Member | None:
        """Somebody's place in a chat; None where the chat is closed to the bot."""
        try:
            return await self._call(c, telegram.MEMBER, "getChatMember", {"chat_id": chat, "user_id": user})
        except (MissingPermission, Gone):
            return None

    async def _call(
        self,
        c: Credentials,
        answer: TypeAdapter[telegram.Answer[T]],
        method: str,
        form: Mapping[str, object],
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> T:
        request = self._request(c, method, form, files)
        if method in CHANGES:
            return wire.parse_confirmation(answer, await wire.write(self._http, request, self.classify)).result
        return wire.parse(answer, await wire.read(self._http, request, self.classify)).result

    def _request(
        self,
        c: Credentials,
        method: str,
        form: Mapping[str, object],
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> httpx.Request:
        token = c.tokens.get(Token.COMMUNITY)
        if not token:
            raise AuthExpired("Telegram needs the bot's token", token=Token.COMMUNITY)
        chat, units = str(form.get("chat_id", "")), {CALLS: 1}
        if method in CHANGES:
            messages = max(len(files or ()), 1)
            units[SENDS] = messages
            if not chat.isdecimal():
                units[GROUP_SENDS] = messages
        return self._http.build_request(
            "POST",
            f"{c.base_url.rstrip('/')}/bot{quote(token, safe=':')}/{method}",
            json=None if files else form,
            data={name: str(value) for name, value in form.items()} if files else None,
            files=files,
            extensions={COST: Cost(token, Token.COMMUNITY, units, target=chat if SENDS in units else "")},
        )


ADAPTER: Final = Telegram


def _chat(c: Credentials) -> str:
    """The channel as a method's `chat_id`."""
    if c.external_id is not None:
        return c.external_id
    path = urlsplit(c.address).path
    private = PRIVATE_PATH.fullmatch(path)
    return f"-{translate.ZERO + int(private[1])}" if private else f"@{path.strip('/')}"


def _bot(c: Credentials) -> str | None:
    """The bot's id, with which its token begins."""
    head, _, tail = c.tokens.get(Token.COMMUNITY, "").partition(":")
    return head if tail and head.isdecimal() else None


def _secrets(token: str) -> tuple[str, ...]:
    """A token and its secret part, also as they stand in an address."""
    secret = token.partition(":")[2]
    return token, secret, quote(token, safe=":"), quote(secret)
