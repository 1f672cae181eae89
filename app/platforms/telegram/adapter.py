"""Telegram channels, with their discussion groups, through the Bot API 10.1.

The community's token is that of a bot, which must be an administrator of the channel, and of the discussion group
too (or have its privacy mode turned off). The Bot API has no history, no lists and no view counts: each update is
delivered once, either through `updates` (`getUpdates`) or to a webhook, and is kept for 24 hours. There are no
updates for deletions, nor for what the bot itself writes. Telegram has no field for an idempotency key, and no way
to look a message up: a person has to settle an unknown outcome.

`chat_member` updates say who joined the channel, and through which invite link. They come only to an administrator
that requests them by name; a webhook set before they were requested is set again (`HookState.outdated`). Of a
link that another administrator made the second part is not shown.

`Event.account_id` is the channel or group where the update happened. A message to the bot itself has no channel. It
belongs to every community with the bot's token, so the bot's id is an alias of each of them: where a bot serves
several, the reader of the stream has to choose one. A webhook request does not say which bot it is for, and the
hook is registered for one community: there the message belongs to that one (`account_id` None).

A comment that answers another comment names that comment, not the post. The parts of an album come as one update
each; `updates` joins them, a webhook request holds one part alone, and of these the part with the text is taken.

Sources: Bot API 10.1, core.telegram.org/bots/faq. Unverified: the limits for each chat in `RATE_LIMITS`; the texts
by which refusals are distinguished (`errors`); whether messages in a channel's own direct messages (Bot API 9.2)
could be attributed to the channel: they are left out.
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
    StartedChat,
    TokenState,
    unparsed_event,
)
from app.platforms.contract import (
    CALLS,
    COST,
    Address,
    AuthExpired,
    CommunityIdentity,
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
from app.platforms.telegram import errors, permalinks, translate
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
RESERVED_PATHS = frozenset(
    {"joinchat", "addstickers", "addemoji", "addlist", "addtheme", "share", "proxy", "login", "boost"}
)


class StreamPosition(wire.Model):
    """How far the stream of updates was read."""

    next: wire.Count | None = None
    """The id of the first update that was not read; None: read from the first pending update, whatever its id."""
    albums: tuple[str, ...] = ()
    """The albums of the last page, of which the next page may hold more parts."""


class Telegram:
    """The adapter; the module's docstring describes it."""

    spec: ClassVar[Spec] = Spec(
        key="telegram",
        title="Telegram",
        api_version="10.1",
        base_url="https://api.telegram.org",
        metrics=frozenset({Metric.REACTIONS, Metric.COMMENTS}),
        rate_limits=RATE_LIMITS,
        metrics_batch=100,
        text_limit=4096,
        post_domains=(*permalinks.DOMAINS, "telegram.org"),
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
        counts_joins=True,
        attributes_joins=True,
        changes=translate.CHANGES,
        no_changes=translate.NO_CHANGES,
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
        if NAME.fullmatch(name) is None or name in RESERVED_PATHS:
            raise ValueError(
                "a Telegram channel's address looks like https://t.me/name, or -1001234567890 where it has no name; "
                "an invitation does not tell which channel it is"
            )
        return Address(canonical=f"https://t.me/{name}")

    @staticmethod
    def post_key(community: CommunityIdentity, url: str) -> str | None:
        return permalinks.post_key(community, url)

    async def community(self, c: Credentials) -> CommunitySnapshot:
        """The `aliases` are the discussion group, where comments are written, and the bot itself."""
        chat = await self._call(c, telegram.CHAT, "getChat", {"chat_id": _chat(c)})
        if chat.type not in {"channel", "supergroup"}:
            raise Rejected("this is neither a channel nor a supergroup")
        size = await self._call(c, telegram.COUNT, "getChatMemberCount", {"chat_id": chat.id})
        aliases = {_bot_id(c), None if chat.linked_chat_id is None else str(chat.linked_chat_id)}
        return CommunitySnapshot(
            external_id=str(chat.id),
            title=chat.title,
            url=translate.page(chat),
            size=size,
            aliases=frozenset(alias for alias in aliases if alias is not None),
        )

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        """Always empty: the Bot API lists none. New ones come with `updates`."""
        return Page((), cursor, more=False)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        """No counters: reactions come with `updates`, and comments are counted from there."""
        guards.check_batch(ids, self.spec)
        return tuple(translate.metrics(post_id) for post_id in ids)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """Always empty: the Bot API lists none. New ones come with `updates`."""
        return Page((), cursor, more=False)

    async def updates(self, c: Credentials, cursor: str | None) -> Page[Event]:
        """The pending updates of the bot, for all of its communities; empty while they go to a webhook.

        After a page without updates the cursor holds no id: when a week has passed without updates, Telegram
        numbers on from a random id, and an `offset` above that would confirm updates that were never read. An
        update that cannot be parsed does not stop the others.
        """
        position = wire.load(StreamPosition, cursor) or StreamPosition()
        form: dict[str, object] = {"limit": STREAM_PAGE, "timeout": 0, "allowed_updates": telegram.UPDATES}
        if position.next is not None:
            form["offset"] = position.next
        response = await wire.read(self._http, self._request(c, "getUpdates", form), self._classify_unless_hooked)
        if response.status_code == httpx.codes.CONFLICT:
            return Page((), wire.dump(StreamPosition()), more=False)
        raw_updates = wire.parse(telegram.STREAM, response).result
        if not raw_updates:
            return Page((), wire.dump(StreamPosition()), more=False)
        updates, unparsed = translate.parse_updates(raw_updates)
        own_account_ids = {*c.aliases, c.external_id or ""}
        events = [
            translate.to_event(update, bot_id=_bot_id(c), own_account_ids=own_account_ids)
            for update in translate.with_joined_albums(updates, seen_albums=position.albums)
        ]
        position = StreamPosition(
            next=translate.last_update_id(raw_updates) + 1, albums=tuple(translate.albums_of(updates))
        )
        items = (*(event for event in events if event is not None), *unparsed)
        return Page(items, wire.dump(position), more=len(raw_updates) >= STREAM_PAGE)

    async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
        """Reply in the discussion group or the private chat. Telegram has no field for `key`."""
        chat, number = (*to.external_id.split("_"), "")[:2]
        private = to.kind is MessageKind.MESSAGE
        try:
            # A customer who has deleted the message may still expect the reply.
            parameters = {"message_id": int(number), "allow_sending_without_reply": private}
            form = {"chat_id": int(chat), "text": text, "reply_parameters": parameters}
        except ValueError:
            raise Rejected("this is no message of Telegram's") from None
        sent = await self._call(c, telegram.SENT, "sendMessage", form)
        url = None if private else translate.url(sent.chat, sent.message_id)
        return SendReceipt(external_id=translate.message_id(sent), sent_at=sent.date, url=url)

    async def publish(self, c: Credentials, draft: OutgoingPost, key: str) -> SendReceipt:
        """One request, pictures included; an album has the id of its first part. Telegram has no field for `key`."""
        outgoing.check(draft, self.spec)
        chat = _chat(c)
        files = {
            f"picture{number}": (f"{number}", picture.content, picture.media_type)
            for number, picture in enumerate(draft.pictures)
        }
        if not files:
            sent = await self._call(c, telegram.SENT, "sendMessage", {"chat_id": chat, "text": draft.text})
        elif len(files) == 1:
            [photo] = files.values()
            form: dict[str, object] = {"chat_id": chat, "caption": draft.text}
            sent = await self._call(c, telegram.SENT, "sendPhoto", form, {"photo": photo})
        else:
            media = [{"type": "photo", "media": f"attach://{name}"} for name in files]
            media[0]["caption"] = draft.text
            form = {"chat_id": chat, "media": json.dumps(media)}
            parts = await self._call(c, telegram.SENT_ALBUM, "sendMediaGroup", form, files)
            sent = min(parts, key=lambda part: part.message_id)
        url = f"{translate.page(sent.chat)}/{sent.message_id}"
        return SendReceipt(external_id=str(sent.message_id), sent_at=sent.date, url=url)

    async def inspect(self, c: Credentials) -> Mapping[Token, TokenState]:
        """The bot's rights in the channel, and whether it gets the discussion group's messages. Its token does not
        expire.
        """
        bot = await self._call(c, telegram.ME, "getMe", {})
        in_channel = await self._member(c, _chat(c), bot.id)
        missing = []
        if in_channel is None or in_channel.status not in {"administrator", "creator"}:
            missing += [errors.ADMINISTRATOR, errors.POST]
        elif in_channel.can_post_messages is False:
            missing.append(errors.POST)
        for group in sorted(alias for alias in c.aliases if alias.startswith("-")):
            in_group = await self._member(c, group, bot.id)
            reads_all = in_group is not None and (
                in_group.status == "administrator"
                or (in_group.status not in {"left", "kicked"} and bot.can_read_all_group_messages)
            )
            if not reads_all:
                missing.append(errors.READ_GROUP)
        return {Token.COMMUNITY: TokenState(missing_scopes=tuple(missing))}

    @classmethod
    def receive(cls, call: HookRequest, secrets: Mapping[str, str]) -> HookResult:
        """One update. `secrets` has `secret`, the text passed to `subscribe`, which every request carries."""
        secret = secrets.get("secret", "")
        header = call.headers.get(SECRET_HEADER, "")
        if not secret or not hmac.compare_digest(header.encode(), secret.encode()):
            raise MissingPermission("the call does not carry the secret agreed with Telegram")
        return HookResult("ok", cls.parse_event(call.body))

    @classmethod
    def parse_event(cls, payload: bytes) -> tuple[Event, ...]:
        """One update."""
        try:
            event = translate.to_event(wire.parse_bytes(telegram.UPDATE, payload), bot_id=None)
        except Malformed as error:
            return (unparsed_event(payload, error.message),)
        return () if event is None else (event,)

    async def subscribe(self, c: Credentials, url: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
        """Have a bot's updates, for all its communities, sent to `url`; `updates` is then empty."""
        form = {"url": url, "secret_token": secrets["secret"], "allowed_updates": telegram.UPDATES}
        await self._call(c, telegram.DONE, "setWebhook", {**form, "drop_pending_updates": False})
        return {}

    async def unsubscribe(self, c: Credentials, url: str) -> None:
        """Remove the webhook at `url`, after which `updates` returns the pending updates."""
        if (await self._call(c, telegram.WEBHOOK, "getWebhookInfo", {})).url == url:
            await self._call(c, telegram.DONE, "deleteWebhook", {"drop_pending_updates": False})

    async def subscription(self, c: Credentials, url: str) -> HookState:
        """Telegram reports its last failure, however long ago it was; it counts only while updates are pending."""
        hook = await self._call(c, telegram.WEBHOOK, "getWebhookInfo", {})
        pending, failed = hook.pending_update_count, hook.last_error_date is not None
        if hook.url == url and "chat_member" not in hook.allowed_updates:
            # It was set before joins were requested.
            detail = "Telegram does not send who joins: chat_member"
            return HookState(subscribed=False, outdated=True, detail=detail)
        return HookState(
            subscribed=hook.url == url,
            delivering=True if not pending else False if failed else None,
            waiting=pending,
            detail=wire.explanation(hook.last_error_message, _secrets(c.tokens.get(Token.COMMUNITY, ""))),
        )

    @staticmethod
    def start_link(bot: str, code: str) -> str:
        return f"https://t.me/{quote(bot)}?start={quote(code)}"

    async def bot_name(self, c: Credentials) -> str:
        return (await self._call(c, telegram.ME, "getMe", {})).username

    async def started_chats(self, c: Credentials, cursor: str | None) -> Page[StartedChat]:
        """From messages to the bot; the cursor is as that of `updates`, and so is what happens without an update."""
        position = wire.load(StreamPosition, cursor) or StreamPosition()
        form: dict[str, object] = {"limit": STREAM_PAGE, "timeout": 0, "allowed_updates": ["message"]}
        if position.next is not None:
            form["offset"] = position.next
        raw_updates = await self._call(c, telegram.STREAM, "getUpdates", form)
        if not raw_updates:
            return Page((), wire.dump(StreamPosition()), more=False)
        updates, _ = translate.parse_updates(raw_updates)
        position = StreamPosition(next=translate.last_update_id(raw_updates) + 1)
        return Page(translate.started_chats(updates), wire.dump(position), more=len(raw_updates) >= STREAM_PAGE)

    async def notify(self, c: Credentials, chat_id: str, text: str) -> SendReceipt:
        sent = await self._call(c, telegram.SENT, "sendMessage", {"chat_id": chat_id, "text": text})
        return SendReceipt(external_id=translate.message_id(sent), sent_at=sent.date)

    def classify(self, response: httpx.Response) -> PlatformError | None:
        """By the code and the text of the response: see `errors`."""
        request = wire.request_of(response)
        changes = wire.path_of(response).rpartition("/")[2] in CHANGES
        cost = request.extensions.get(COST) if request is not None else None
        secrets = _secrets(cost.token) if isinstance(cost, Cost) else ()
        return errors.from_response(response, changes=changes, secrets=secrets)

    def _classify_unless_hooked(self, response: httpx.Response) -> PlatformError | None:
        """As `classify`, but that updates go to a webhook, so that `getUpdates` is refused, is no error."""
        failure = errors.parse_failure(response)
        hooked = (
            failure is not None
            and response.status_code == httpx.codes.CONFLICT
            and "webhook is active" in failure.description
        )
        return None if hooked else self.classify(response)

    async def _member(self, c: Credentials, chat: str, user: int) -> telegram.Member | None:
        """A user's membership in a chat; None where the bot may not see the chat."""
        try:
            return await self._call(c, telegram.MEMBER, "getChatMember", {"chat_id": chat, "user_id": user})
        except (MissingPermission, Gone):
            return None

    async def _call(
        self,
        c: Credentials,
        response_model: TypeAdapter[telegram.Success[T]],
        method: str,
        form: Mapping[str, object],
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> T:
        request = self._request(c, method, form, files)
        if method in CHANGES:
            return wire.parse_confirmation(response_model, await wire.write(self._http, request, self.classify)).result
        return wire.parse(response_model, await wire.read(self._http, request, self.classify)).result

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
    return f"-{translate.CHANNEL_ID_BASE + int(private[1])}" if private else f"@{path.strip('/')}"


def _bot_id(c: Credentials) -> str | None:
    """The bot's id, which is the first part of its token; None for a text that is no token."""
    bot_id, _, secret = c.tokens.get(Token.COMMUNITY, "").partition(":")
    return bot_id if secret and bot_id.isdecimal() else None


def _secrets(token: str) -> tuple[str, ...]:
    """A token and its secret part, plain and as they are quoted in a URL."""
    secret = token.partition(":")[2]
    return token, secret, quote(token, safe=":"), quote(secret)
