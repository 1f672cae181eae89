"""Facebook by Meta's business SDK: requested fields exist, and sent parameters are accepted."""

import pytest

from app.platforms.capabilities import OutgoingPost, Picture, ReplyTo
from app.platforms.contract import MessageKind, PlatformError, RemotePerson
from app.platforms.meta import mail, pages
from app.platforms.meta.facebook import Facebook
from tests.platforms.meta.facebook_graph import adapter, credentials, fake_graph
from tests.platforms.meta.specs import client_answering, unknown_fields, unknown_params
from tests.platforms.recorded.facebook import own_credentials
from tests.platforms.specimens import PIXEL


@pytest.mark.parametrize("broken", [{"data": [{}]}, {"data": {}}, {"error": {}}, {"data": [{"id": 5}]}, []])
async def test_a_malformed_response_raises(broken: object) -> None:
    for ask in (Facebook.posts, Facebook.conversations):
        with pytest.raises(PlatformError):
            await ask(Facebook(client_answering(broken)), own_credentials(), None)


def test_requested_fields_exist() -> None:
    requested = {
        "Page": pages.PAGE_FIELDS,
        "PagePost": pages.POST_FIELDS,
        "Post": pages.POST_FIELDS,
        "Comment": pages.COMMENT_FIELDS,
        "UnifiedThread": mail.THREAD_FIELDS,
    }
    assert [name for kind, fields in requested.items() for name in unknown_fields(kind, fields)] == []
    assert unknown_fields("Page", "id,nonsense,feed{id,message,from{age}}") == ["Page.nonsense", "Object.age"]


async def test_sent_parameters_are_accepted() -> None:
    graph = fake_graph()
    graph.bodies = {end: {"id": "1", "message_id": "2", "success": True} for end in ("", "feed", "photos")}
    pictures = (Picture(PIXEL, "image/png", "a dot"),) * 2
    for draft in (OutgoingPost("x"), OutgoingPost("x", pictures[:1]), OutgoingPost("x", pictures)):
        await adapter(graph).publish(credentials(), draft, "key")
    for kind in (MessageKind.MESSAGE, MessageKind.COMMENT):
        await adapter(graph).reply(credentials(), ReplyTo("1_2", "t", kind, RemotePerson("5", ""), "1"), "x", "key")
    await adapter(graph).subscribe(credentials(app={}), "https://instep.example", {})
    sent = [
        ("Comment" if path.startswith("1_2") else "Page", path.rpartition("/")[2], params)
        for path, params in graph.sent
    ]
    assert len(sent) == 8
    assert [
        (edge, unknown_params(kind, edge, params)) for kind, edge, params in sent if unknown_params(kind, edge, params)
    ] == []
