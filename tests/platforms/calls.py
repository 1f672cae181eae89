"""Every call of an adapter, by name, with arguments taken from its specimen."""

from collections.abc import Awaitable, Callable

from app.platforms.capabilities import (
    Inspects,
    ListsComments,
    MeasuresAcross,
    OutgoingPost,
    PostRef,
    Publishes,
    Refreshes,
    Replies,
    ReplyTo,
    Streams,
    Subscribes,
)
from app.platforms.contract import Adapter, Credentials, Page
from tests.platforms.specimens import Specimen, drafts

Call = Callable[[Credentials], Awaitable[object]]

HOOK = "https://instep.example/v1/hooks/1"
TEXT = "Yes, until six"


def reads(made: Adapter, about: Specimen) -> dict[str, Call]:
    """Every read that sends a request, by name."""
    post = about.post_ids[0]
    calls: dict[str, Call] = {
        "community": made.community,
        "posts": lambda c: made.posts(c, None),
        "metrics": lambda c: made.metrics(c, about.post_ids[:1]),
        "conversations": lambda c: made.conversations(c, None),
    }
    if isinstance(made, ListsComments):
        calls["comments"] = lambda c: made.comments(c, post, None)
    if isinstance(made, MeasuresAcross):
        calls["metrics_across"] = lambda c: made.metrics_across(c, (PostRef(about.external_id, post),))
    if isinstance(made, Streams):
        calls["updates"] = lambda c: made.updates(c, None)
    if isinstance(made, Inspects):
        calls["inspect"] = made.inspect
    if isinstance(made, Subscribes):
        calls["subscription"] = lambda c: made.subscription(c, HOOK)
    return {name: call for name, call in calls.items() if name not in about.not_offered}


def changes(made: Adapter, about: Specimen) -> dict[str, Call]:
    """Every change (reply or publication), by name."""
    calls: dict[str, Call] = {}
    if isinstance(made, Replies):
        for name, to in (("reply to a comment", about.comment), ("reply to a message", about.message)):
            if to is not None:
                calls[name] = _reply(made, to)
    if isinstance(made, Publishes):
        for name, draft in drafts(type(made).spec).items():
            calls[f"publish {name}"] = _publish(made, draft)
    return calls


def renewals(made: Adapter) -> dict[str, Call]:
    return {"refresh": made.refresh} if isinstance(made, Refreshes) else {}


def listing(made: Adapter, name: str, about: Specimen) -> Callable[[Credentials], Awaitable[Page[object]]]:
    """The call that reads the first page of a list."""
    if name == "comments":
        assert isinstance(made, ListsComments)
        return lambda c: made.comments(c, about.post_ids[0], None)
    return lambda c: (made.posts if name == "posts" else made.conversations)(c, None)


def _reply(made: Replies, to: ReplyTo) -> Call:
    return lambda c: made.reply(c, to, TEXT, "key")


def _publish(made: Publishes, draft: OutgoingPost) -> Call:
    return lambda c: made.publish(c, draft, "key")
