"""A community on a platform made for tests, and a customer who writes there."""

import dataclasses
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest
from sqlalchemy import select

from app.communities.events import CommunityRef, MessagesSeen
from app.communities.models import Community
from app.inquiries import subscribers  # noqa: F401 - it listens
from app.inquiries.models import Message
from app.kit.events import publish
from app.kit.resources import Resources
from app.platforms.capabilities import ReplyTo
from app.platforms.contract import Credentials, MessageKind, RemoteMessage, RemotePerson, SendReceipt, Spec
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
    """What the platform was asked to send, and how it behaves."""

    sent: list[tuple[ReplyTo, str, str]] = field(default_factory=list)
    behave: Callable[[str], Any] = lambda _: None
    """Called with the text once it is taken; may raise, or give a `Sent`."""


class Silent:
    """A platform without replies."""

    spec: ClassVar[Spec] = spec("silent")

    def __init__(self, http: object) -> None: ...


def talking(post: Post, key: str, remembered: timedelta | None) -> type:
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
    """The platforms `forgetful` (a repeat is sent twice), `mindful` (it remembers) and `silent`."""
    made = Post()
    found = {
        "forgetful": talking(made, "forgetful", None),
        "mindful": talking(made, "mindful", timedelta(minutes=50)),
        "silent": Silent,
    }
    monkeypatch.setattr("app.platforms.adapters", lambda: found)
    return made


@dataclass
class Town:
    """A project with a community, and what is seen there."""

    agency: Agency
    place: CommunityRef

    async def see(self, *messages: RemoteMessage, publication_id: uuid.UUID | None = None) -> None:
        """A poll finds these messages."""
        async with self.agency.resources.transaction(self.place.workspace_id) as session:
            await publish(session, MessagesSeen(self.place, tuple((each, publication_id) for each in messages)))

    def said(
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
        """As the list shows them."""
        found = await self.agency.get("/v1/inquiries", community_id=str(self.place.community_id), **filters)
        return list(found["data"])

    async def only(self) -> Any:
        """The one inquiry there is, with its thread."""
        (found,) = await self.inquiries()
        return await self.agency.get(f"/v1/inquiries/{found['id']}")

    async def stored(self) -> list[Message]:
        """Every message of the community's, read or not."""
        async with self.agency.resources.transaction(self.place.workspace_id) as session:
            query = select(Message).where(
                Message.workspace_id == self.place.workspace_id, Message.community_id == self.place.community_id
            )
            return list((await session.scalars(query.order_by(Message.sent_at, Message.external_id))).all())


async def settle(agency: Agency, platform: str = "forgetful", timezone: str = "Europe/Minsk") -> Town:
    """A new project with a community on that platform."""
    project = await agency.post("/v1/projects", {"name": "Nina's", "timezone": timezone})
    place = CommunityRef(agency.workspace_id, uuid.UUID(project["id"]), uuid.uuid4(), platform, timezone)
    async with agency.resources.transaction(agency.workspace_id) as session:
        session.add(
            Community(
                workspace_id=place.workspace_id,
                id=place.community_id,
                project_id=place.project_id,
                platform=platform,
                address=f"https://platform.example/{place.community_id}",
                base_url="https://platform.example",
                external_id=str(place.community_id),
                title="Coffee at Nina's",
                state="healthy",
                missing_scopes=[],
                failures=0,
                backfill_since=agency.resources.clock.now() - timedelta(days=30),
                created_at=agency.resources.clock.now(),
            )
        )
    return Town(agency, place)


@pytest.fixture
async def town(agency: Agency, post: Post) -> Town:
    """A community on a platform that would send a repeat twice."""
    return await settle(agency)


@pytest.fixture
async def resources(resources: Resources) -> AsyncIterator[Resources]:
    """A worker's: it may call platforms. Nothing here does so over HTTP."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise AssertionError("no call leaves these tests")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
        yield dataclasses.replace(resources, http=http)
