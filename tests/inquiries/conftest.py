"""A community on a fake platform, and a customer's messages."""

import dataclasses
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from app.communities import tokens
from app.communities.events import CommunityRef, MessagesSeen
from app.communities.models import Community
from app.inquiries import subscribers  # noqa: F401 - it listens
from app.inquiries.models import Message
from app.kit.events import publish
from app.kit.resources import Resources
from app.platforms.capabilities import ReplyTo
from app.platforms.contract import Credentials, MessageKind, RemoteMessage, RemotePerson, SendReceipt, Spec, Token
from tests.conftest import Agency

OURS = RemotePerson("us", "Coffee at Nina's", is_community=True)
OLGA = RemotePerson("olga", "Olga")


def spec(key: str, *, remembered: timedelta | None = None) -> Spec:
    return Spec(
        key=key,
        title=key.title(),
        api_version="1",
        base_url="https://platform.example",
        metrics=frozenset(),
        rate_limits=(),
        metrics_batch=1,
        text_limit=100,
        tokens=frozenset(),
        public=True,
        address_hint="name",
        replies_dedup_window=remembered,
    )


@dataclass
class Post:
    """The replies sent to the fake platform, and how it reacts."""

    sent: list[tuple[ReplyTo, str, str]] = field(default_factory=list)
    behave: Callable[[str], Any] = lambda _: None
    """Called with the text after it is recorded; may raise, or return a `SendReceipt`."""


class Silent:
    """A platform without replies."""

    spec: ClassVar[Spec] = spec("silent")

    def __init__(self, http: object) -> None: ...


def replying_adapter(post: Post, key: str, remembered: timedelta | None) -> type:
    class Talking:
        spec: ClassVar[Spec] = globals()["spec"](key, remembered=remembered)

        def __init__(self, http: object) -> None: ...

        async def reply(self, c: Credentials, to: ReplyTo, text: str, key: str) -> SendReceipt:
            post.sent.append((to, text, key))
            answer = post.behave(text)
            if hasattr(answer, "__await__"):
                answer = await answer
            return answer if isinstance(answer, SendReceipt) else SendReceipt(f"sent-{key}")

    return Talking


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Post:
    """The platforms `forgetful` (sends a repeat twice), `mindful` (recognises repeats) and `silent` (no replies)."""
    made = Post()
    adapter_classes = {
        "forgetful": replying_adapter(made, "forgetful", None),
        "mindful": replying_adapter(made, "mindful", timedelta(minutes=50)),
        "silent": Silent,
    }
    monkeypatch.setattr("app.platforms.adapters", lambda: adapter_classes)
    return made


@dataclass
class InquirySetup:
    """A project with a community whose messages a test stores."""

    agency: Agency
    ref: CommunityRef

    async def store_messages(self, *messages: RemoteMessage, publication_id: uuid.UUID | None = None) -> None:
        """Publish these messages as a poll does."""
        async with self.agency.resources.transaction(self.ref.workspace_id) as session:
            await publish(session, MessagesSeen(self.ref, tuple((each, publication_id) for each in messages)))

    def message(
        self, external_id: str, at: datetime, text: str = "Сколько стоит?", *, by: RemotePerson = OLGA, **more: Any
    ) -> RemoteMessage:
        """A message."""
        return RemoteMessage(
            **{
                "external_id": external_id,
                "thread_id": "thread",
                "kind": MessageKind.COMMENT,
                "author": by,
                "text": text,
                "sent_at": at,
                "post_id": "post-1",
                **more,
            }
        )

    async def inquiries(self, **filters: Any) -> list[Any]:
        """The community's inquiries, as the list returns them."""
        page = await self.agency.get("/v1/inquiries", community_id=str(self.ref.community_id), **filters)
        return list(page["data"])

    async def only(self) -> Any:
        """The only inquiry, with its thread."""
        (inquiry,) = await self.inquiries()
        return await self.agency.get(f"/v1/inquiries/{inquiry['id']}")

    async def stored(self) -> list[Message]:
        """All stored messages of the community, also those without an inquiry."""
        async with self.agency.resources.transaction(self.ref.workspace_id) as session:
            query = select(Message).where(
                Message.workspace_id == self.ref.workspace_id, Message.community_id == self.ref.community_id
            )
            return list((await session.scalars(query.order_by(Message.sent_at, Message.external_id))).all())


async def connect_community(
    agency: Agency, platform: str = "forgetful", timezone: str = "Europe/Minsk"
) -> InquirySetup:
    """A new project with a community on that platform."""
    project = await agency.post("/v1/projects", {"title": "Nina's", "timezone": timezone})
    ref = CommunityRef(agency.workspace_id, uuid.UUID(project["id"]), uuid.uuid4(), platform, timezone)
    async with agency.resources.transaction(agency.workspace_id) as session:
        session.add(
            Community(
                workspace_id=ref.workspace_id,
                id=ref.community_id,
                project_id=ref.project_id,
                platform=platform,
                address=f"https://platform.example/{ref.community_id}",
                base_url="https://platform.example",
                external_id=str(ref.community_id),
                title="Coffee at Nina's",
                status="healthy",
                missing_scopes=[],
                failures=0,
                backfill_since=agency.resources.clock.now() - timedelta(days=30),
                created_at=agency.resources.clock.now(),
            )
        )
        await session.flush()
        await tokens.store(
            session, agency.resources.keyring, ref.community_id, {Token.COMMUNITY: SecretStr("a-token-1234")}
        )
    return InquirySetup(agency, ref)


@pytest.fixture
async def setup(agency: Agency, post: Post) -> InquirySetup:
    """A community on the platform `forgetful`."""
    return await connect_community(agency)


@pytest.fixture
async def resources(resources: Resources) -> AsyncIterator[Resources]:
    """Resources of a worker; a call over HTTP fails the test."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise AssertionError("no call leaves these tests")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
        yield dataclasses.replace(resources, http=http)
