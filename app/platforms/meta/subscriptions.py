"""Webhook subscriptions: the application has one address, and each community sends its events to the application."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from app.platforms.capabilities import HookState
from app.platforms.contract import Credentials, Rejected
from app.platforms.meta import wire_models as graph
from app.platforms.meta.calls import Calls, GraphAccess
from app.platforms.meta.tokens import app_access

OPTIONAL: Final = frozenset({"mentions", "message_edits", "messaging_postbacks"})
"""Fields without which a hook still does its work, and which Meta does not have everywhere."""
REFUSED: Final = re.compile(r"fields\[(\d{1,2})\] must be one of")
DASHBOARD: Final = "the address itself is set in the application's dashboard at Meta, and cannot be seen from here"


async def subscribe(
    calls: Calls,
    c: Credentials,
    access: GraphAccess,
    path: str,
    *,
    kind: str,
    fields: Sequence[str],
    subscribed_fields: Sequence[str],
    url: str,
    verify_token: str,
) -> None:
    """Have Meta send events of `fields` of objects of this kind to `url`, where the application's settings are
    known; then have the community send `subscribed_fields` to the application. Raises `Rejected` where Meta refuses.

    Of the `OPTIONAL` fields, those that Meta refuses are left out: which there are depends on the kind of object, the
    login and the version.
    """
    app = app_access(c)
    if app is not None:
        form = {"object": kind, "callback_url": url, "verify_token": verify_token}
        await _subscribe(calls, app, f"{c.app['client_id']}/subscriptions", form, "fields", fields)
    await _subscribe(calls, access, path, {}, "subscribed_fields", subscribed_fields)


async def _subscribe(
    calls: Calls, access: GraphAccess, path: str, form: Mapping[str, str], name: str, fields: Sequence[str]
) -> None:
    try:
        subscribed = await calls.repeatable_post(access, path, graph.DONE, {**form, name: ",".join(fields)})
    except Rejected as error:
        # "Param subscribed_fields[3] must be one of {feed, …}"
        place = REFUSED.search(error.message)
        refused = {fields[int(place[1])]} if place is not None and int(place[1]) < len(fields) else OPTIONAL
        fewer = [field for field in fields if field not in refused & OPTIONAL]
        if len(fewer) == len(fields):
            raise
        await _subscribe(calls, access, path, form, name, fewer)
        return
    if not subscribed.success:
        raise Rejected("Meta did not take the subscription")


async def state(
    calls: Calls,
    c: Credentials,
    access: GraphAccess,
    path: str,
    *,
    kind: str,
    fields: Sequence[str],
    subscribed_fields: Sequence[str],
    url: str,
) -> HookState:
    """Whether the community sends its events to the application, and the application those of `fields` to `url`."""
    client_id = c.app.get("client_id")
    listed = (await calls.get(access, path, graph.SUBSCRIBED, {})).data
    missing, sent_fields = set(subscribed_fields) - OPTIONAL, set[str]()
    for one in listed:
        if client_id is None or one.id in {None, client_id}:
            sent_fields |= set(one.subscribed_fields)
    if missing := missing - sent_fields:
        detail = f"the community does not send: {', '.join(sorted(missing))}"
        return HookState(False, detail=detail, outdated=bool(sent_fields))
    app = app_access(c)
    if app is None:
        return HookState(True, detail=DASHBOARD)
    sent = await calls.get(app, f"{client_id}/subscriptions", graph.APP_SUBSCRIPTIONS, {})
    there = [one for one in sent.data if one.object == kind and one.callback_url == url and one.active]
    if not there:
        return HookState(False, detail="the application sends events to another address, or to none")
    active_fields = {field.name for one in there for field in one.fields}
    missing = set(fields) - OPTIONAL - active_fields if active_fields else set()
    detail = f"the application does not send: {', '.join(sorted(missing))}" if missing else ""
    return HookState(not missing, detail=detail, outdated=bool(missing))
