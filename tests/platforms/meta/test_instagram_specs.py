"""Instagram by Meta's business SDK: requested fields exist, and sent parameters are accepted."""

import json

from app.platforms.capabilities import OutgoingPost, ReplyTo
from app.platforms.contract import MessageKind, RemotePerson
from app.platforms.meta import accounts, mail
from tests.platforms.data import data
from tests.platforms.meta.specs import unknown_fields, unknown_params
from tests.platforms.meta.test_instagram import ACCOUNT_ID, PICTURES, adapter, credentials, publishing


def test_requested_fields_exist() -> None:
    requested = [
        ("IGUser", accounts.USER_FIELDS),
        ("Page", accounts.LINKED_FIELDS),
        ("IGUserForIGOnlyAPI", accounts.SELF_FIELDS),
        *((kind, accounts.MEDIA_FIELDS) for kind in ("IGMedia", "IGMediaForIGOnlyAPI")),
        ("IGMedia", accounts.TAGGED_FIELDS),
        ("IGComment", accounts.COMMENT_FIELDS),
        ("IGComment", accounts.MENTIONED_COMMENT_FIELDS),
        ("ShadowIGMediaBuilder", accounts.CONTAINER_FIELDS),
        ("UnifiedThread", mail.THREAD_FIELDS),
    ]
    assert [name for kind, fields in requested for name in unknown_fields(kind, fields)] == []
    documented = json.loads(data("meta/insights-metrics-v26.json").read_text())
    assert set(accounts.INSIGHTS) <= set(documented["ig_metric"])
    assert "lifetime" in documented["period"]


async def test_sent_parameters_are_accepted() -> None:
    graph = publishing()
    for pictures in (PICTURES[:1], PICTURES):
        await adapter(graph).publish(credentials(), OutgoingPost("x", pictures), "key")
    graph.bodies["1791/replies"] = graph.bodies["mentions"] = {"id": "1"}
    graph.bodies["messages"] = {"message_id": "1"}
    for external_id, kind in (
        ("1791", MessageKind.COMMENT), ("aW1", MessageKind.MESSAGE), ("mention-1", MessageKind.MENTION),
        ("mention-1-2", MessageKind.MENTION),
    ):  # fmt: skip
        await adapter(graph).reply(
            credentials(), ReplyTo(external_id, "t", kind, RemotePerson("5", ""), None), "x", "k"
        )
    kinds = {ACCOUNT_ID: "IGUser", "me": "Page", "1791": "IGComment"}
    sent = [(kinds[path.partition("/")[0]], path.rpartition("/")[2], params) for path, params in graph.sent]
    assert len(sent) == 11
    assert [
        (edge, unknown_params(kind, edge, params)) for kind, edge, params in sent if unknown_params(kind, edge, params)
    ] == []
