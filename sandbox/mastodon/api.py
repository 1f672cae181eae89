"""The endpoints, their errors and their paging, as Mastodon 4.4 has them, or another `servers.Server`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Iterable
from heapq import merge
from itertools import islice
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox import instants
from sandbox.entities import Community, Notice
from sandbox.grants import Grant
from sandbox.instants import HOUR
from sandbox.ledger import Fields
from sandbox.limits import Quota
from sandbox.mastodon import instance, media
from sandbox.mastodon.call import MISSING, Call, Handler, RefusedError
from sandbox.mastodon.servers import OPEN, Server
from sandbox.mastodon.wire_models import EntityRenderer, Json, own_ids, visibility
from sandbox.network import BadParameterError, Network, Params, bearer, json_response
from sandbox.people import Person

_OWN: Final = {"/api/v2/media": "media", "/api/v1/statuses": "statuses"}
"""Writes that have a rate limit in addition to that of all calls."""
_SECONDS: Final = {"calls": "seconds", "media": "media_seconds", "statuses": "statuses_seconds"}
STATUSES_AT_ONCE: Final = 20
"""`GET /api/v1/statuses?id[]=` takes no more; DEFAULT_STATUSES_LIMIT in Mastodon's base_controller.rb."""


def routes(network: Network) -> list[Route]:
    """The platform's routes."""
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/api/v1/instance", instance_v1),
        ("GET", "/api/v2/instance", instance_v2),
        ("GET", "/api/v1/apps/verify_credentials", application),
        ("POST", "/api/v2/media", media.upload),
        ("GET", "/api/v1/media/{id}", media.show),
        ("GET", "/api/v1/accounts/verify_credentials", verify_credentials),
        ("GET", "/api/v1/accounts/lookup", lookup),
        ("GET", "/api/v1/accounts/{id}", account),
        ("GET", "/api/v1/accounts/{id}/statuses", account_statuses),
        ("GET", "/api/v1/statuses", statuses),
        ("POST", "/api/v1/statuses", publish),
        ("GET", "/api/v1/statuses/{id}", status),
        ("DELETE", "/api/v1/statuses/{id}", delete),
        ("GET", "/api/v1/statuses/{id}/context", context),
        ("GET", "/api/v1/notifications", notifications),
        ("GET", "/api/v1/conversations", conversations),
        ("GET", "/.well-known/nodeinfo", nodeinfo_links),
        ("GET", "/nodeinfo/2.0", nodeinfo),
        ("GET", "/.well-known/webfinger", webfinger),
        ("GET", "/@{acct}", page),
        ("GET", "/@{acct}/{id}", page),
    )
    return [Route(path, _endpoint(network, handler), methods=[method]) for method, path, handler in table]


def _endpoint(network: Network, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        token = bearer(request)
        parameters: Params | None
        try:
            parameters = await media.params(request)
        except BadParameterError:
            parameters = None
        network.tick()
        token = token or (parameters.get("access_token") if parameters is not None else "")
        grant = network.grants.find(token, "mastodon") if token else None
        caller = grant.name if grant is not None else f"address:{request.client.host if request.client else ''}"
        quota = _quota(network, request, caller)
        try:
            response = handler(_authorized(network, request, parameters, grant, quota))
        except RefusedError as refused:
            response = json_response({"error": refused.error}, refused.status)
        except BadParameterError as bad:
            response = json_response({"error": f"Validation failed: {bad} is invalid"}, 422)
        response.headers["X-RateLimit-Limit"] = str(quota.limit)
        response.headers["X-RateLimit-Remaining"] = str(quota.remaining)
        response.headers["X-RateLimit-Reset"] = instants.text(int(quota.reset_at * 1000))
        return response

    return endpoint


def _quota(network: Network, request: Request, caller: str) -> Quota:
    """Of the rate limits of a call, the one with the fewest calls left."""
    names = ["calls", *(name for path, name in _OWN.items() if (request.method, request.url.path) == ("POST", path))]
    limits = network.limits
    quotas = [
        network.counter.window(
            f"mastodon/{name}/{caller}", limits[f"mastodon_{name}"], limits[f"mastodon_{_SECONDS[name]}"]
        )
        for name in names
    ]
    return min(quotas, key=lambda one: (not one.refused, one.remaining))


def _authorized(
    network: Network, request: Request, parameters: Params | None, grant: Grant | None, quota: Quota
) -> Call:
    """The call, if it is allowed. An unknown token counts as none, as in Mastodon."""
    if quota.refused:
        raise RefusedError(429, "Throttled")
    if parameters is None:
        raise RefusedError(400, "Error reading the request's parameters")
    server, path = network.variant(Server), request.url.path
    if path in server.lacks:
        raise RefusedError(404, "Not Found")
    if grant is not None and grant.state != "good":
        raise RefusedError(401, f"The access token {'was revoked' if grant.state == 'revoked' else 'expired'}")
    if grant is None and server.no_token is not None and path.startswith("/api/") and path not in OPEN:
        raise RefusedError(*server.no_token)
    return Call(network, request, parameters, grant, EntityRenderer(network), server)


# ── server and accounts ───────────────────────────────────────────────────────────────────────


def instance_v1(call: Call) -> Response:
    communities = call.network.communities("mastodon")
    statuses_count = sum(len(c.authored) for c in communities)
    users = sum(len(c.followers) for c in communities)
    return json_response(instance.v1(call.server, call.network.base_url, users, statuses_count))


def instance_v2(call: Call) -> Response:
    users = sum(len(c.followers) for c in call.network.communities("mastodon"))
    return json_response(instance.v2(call.server, call.network.base_url, users))


def nodeinfo_links(call: Call) -> Response:
    return json_response(instance.nodeinfo_links(call.network.base_url))


def nodeinfo(call: Call) -> Response:
    users = sum(len(c.followers) for c in call.network.communities("mastodon"))
    return json_response(instance.nodeinfo(call.server, users))


def webfinger(call: Call) -> Response:
    match = call.entities.named(call.params.get("resource").removeprefix("acct:"))
    if match is None:
        raise RefusedError(*MISSING)
    return json_response(instance.webfinger(call.params.get("resource"), str(call.entities.account(match)["uri"])))


def application(call: Call) -> Response:
    """The application, with the token's scopes."""
    if call.grant is None:
        raise RefusedError(*call.server.bad_token)
    scopes = sorted(call.grant.scopes)
    uri = "urn:ietf:wg:oauth:2.0:oob"
    return json_response({
        "id": "1", "name": "Instep", "website": None, "scopes": scopes, "redirect_uris": [uri], "redirect_uri": uri,
        "vapid_key": "BCk-QqERU0q-CfYZjcuB6lnyyOYfJ2AifKqfeGIm7Z-HiTU5T9eTG5GxVA0_OH5mMlI4UkkDTpaZwozy0TzdZ2M=",
    })  # fmt: skip


def verify_credentials(call: Call) -> Response:
    return json_response(call.entities.credentials(call.community("read:accounts")))


def lookup(call: Call) -> Response:
    match = call.entities.named(call.params.get("acct"))
    if match is None:
        raise RefusedError(*MISSING)
    return json_response(call.entities.account(match))


def account(call: Call) -> Response:
    return json_response(call.entities.account(call.account()))


def account_statuses(call: Call) -> Response:
    actor = call.account()
    limit = call.limit(20, 40)
    if call.params.flag("pinned") or call.params.flag("only_media"):
        return json_response([])
    whole = False
    if isinstance(actor, Community):
        c = actor
        whole = call.server.own_list_is_whole and call.grant is not None and call.grant.community == c.key
        ids = own_ids(c, exclude_replies=call.params.flag("exclude_replies"), direct=whole)
    else:
        c = next(
            c for c in call.network.communities("mastodon") if c.number_of(0) < actor.number < c.number_of(1_000_000)
        )
        written = (entry.id for entry in c.wall.values() if entry.person == actor.number and not entry.deleted)
        ids = [] if call.params.flag("exclude_replies") else sorted(written)
    listed = [c.wall.get(one) or c.mail[one] for one in _page(ids, call.params, limit)]
    entries = [one for one in listed if call.is_listed(one.at)]
    visible = [call.entities.status(c, one) for one in entries if whole or visibility(one) != "private"]
    return json_response(visible, headers=_links(call, [one.id for one in entries], limit))


def _page(ids: list[int], params: Params, limit: int) -> list[int]:
    """A page of ascending ids, newest first: below `max_id`, or with `min_id` those next above it."""
    high = params.integer("max_id")
    end = len(ids) if high is None else bisect_left(ids, high)
    low = params.integer("min_id")
    if low is not None:
        start = bisect_right(ids, low)
        return ids[start : min(start + limit, end)][::-1]
    low = params.integer("since_id")
    start = 0 if low is None else bisect_right(ids, low)
    return ids[max(start, end - limit) : end][::-1] if start < end else []


def _links(call: Call, ids: list[int], limit: int) -> dict[str, str]:
    """The Link header of a page: `next` is older, only after a full page; `prev` is newer."""
    if not ids:
        return {}
    kept = [
        (name, value)
        for name, value in call.params.pairs()
        if name not in ("max_id", "min_id", "since_id", "access_token", "limit")
    ]
    base = f"{call.network.base_url}{call.request.url.path}"

    def link(bound: str, value: int, rel: str) -> str:
        return f'<{base}?{urlencode([*kept, ("limit", str(limit)), (bound, str(value))])}>; rel="{rel}"'

    links = [link("max_id", ids[-1], "next")] if len(ids) >= limit else []
    return {"Link": ", ".join([*links, link("min_id", ids[0], "prev")])}


# ── statuses ──────────────────────────────────────────────────────────────────────────────────


def status(call: Call) -> Response:
    return json_response(call.entities.status(*call.status(call.path_id())))


def statuses(call: Call) -> Response:
    if not call.server.batch:
        raise RefusedError(405, "Method Not Allowed")
    requested = list(dict.fromkeys(call.params.all("id")))
    if len(requested) > STATUSES_AT_ONCE:
        raise RefusedError(422, "Mastodon::ValidationError")
    rendered: list[Json] = []
    for one in requested:
        try:
            rendered.append(call.entities.status(*call.status(int(one))))
        except (RefusedError, ValueError):
            continue  # absent or not visible to this caller: left out
    return json_response(rendered)


def context(call: Call) -> Response:
    c, entry = call.status(call.path_id())
    entities, server = call.entities, call.server
    most = server.descendants if call.grant is not None else 60
    ancestors = entities.ancestors(c, entry)
    descendants = entities.descendants(c, entry, most)
    return json_response(
        {
            "ancestors": [entities.status(c, one) for one in ancestors[-(server.ancestors or len(ancestors)) :]],
            "descendants": [entities.status(c, one) for one in descendants if call.is_listed(one.at)],
        }
    )


def publish(call: Call) -> Response:
    """Create a post, reply or direct message. A repeated Idempotency-Key within an hour creates nothing."""
    c = call.community("write:statuses")
    world, key = call.network.world, call.request.headers.get("idempotency-key", "")
    key = key if call.server.idempotency else ""
    name = f"{call.grant.name if call.grant else ''}:{key}"
    previous = world.keys.get(name) if key else None
    if previous is not None and world.now - instants.parse(previous["at"]) < HOUR:
        return json_response(call.entities.status(*call.status(int(previous["id"]))))
    text, pictures = call.params.get("status").strip(), media.attached(call, c)
    if not text and not pictures:
        raise RefusedError(422, "Validation failed: Text can't be blank")
    if len(text) > instance.TEXT_LIMIT:
        raise RefusedError(422, f"Validation failed: Text character limit of {instance.TEXT_LIMIT} exceeded")
    requested = call.params.get("visibility", "public") or "public"
    if requested not in ("public", "unlisted", "private", "direct"):
        raise RefusedError(422, "Validation failed: Visibility is not included in the list")
    fields = Fields(text=text)
    if key:
        fields["key"] = name
    if requested in ("unlisted", "private"):
        fields["kind"] = requested
    if pictures:
        fields["media"] = pictures
    event = _addressed(call, fields, requested)
    record = world.emit(event, c, "api", **fields)
    return json_response(call.entities.status(*call.status(int(record["id"]))))


def _addressed(call: Call, fields: Fields, requested: str) -> str:
    """Determine the recipients of a status, and the event it is."""
    above = None
    if (reply_to := call.params.integer("in_reply_to_id")) is not None:
        try:
            _, above = call.status(reply_to)
        except RefusedError:
            raise RefusedError(404, "The post you are trying to reply to does not appear to exist.") from None
    if requested == "direct":
        addressees = [actor for actor in call.entities.mentioned(fields["text"]) if isinstance(actor, Person)]
        # Only mentioned accounts receive a direct message, whatever it replies to: without any it is a note to oneself.
        fields.update({"via": "message", "person": addressees[0].number if addressees else 0})
        if above is not None and above.kind == "message":
            fields["parent"] = str(above.id)
        return "reply"
    if above is None:
        return "post"
    if above.kind == "post":
        fields.update({"via": "comment", "post": str(above.id)})
    elif above.post is not None:
        fields.update({"via": "comment", "post": str(above.post), "parent": str(above.id)})
    else:
        fields["via"] = "mention"
        if above.kind != "message":
            fields["parent"] = str(above.id)
    return "reply"


def delete(call: Call) -> Response:
    c = call.community("write:statuses")
    owner, entry = call.status(call.path_id())
    if owner is not c or entry.person is not None or entry.kind == "message":
        raise RefusedError(*MISSING)
    rendered = {**call.entities.status(c, entry), "text": entry.text}
    call.network.world.emit("post_deleted" if entry.kind == "post" else "comment_deleted", c, "api", id=str(entry.id))
    return json_response(rendered)


# ── what customers did ────────────────────────────────────────────────────────────────────────


def notifications(call: Call) -> Response:
    c = call.community("read:notifications")
    limit = call.limit(40, 80)
    kinds, without = set(call.params.all("types")), set(call.params.all("exclude_types"))
    high, since, low = (call.params.integer(name) for name in ("max_id", "since_id", "min_id"))
    include_filtered = call.params.flag("include_filtered")

    def matching(notices: Iterable[Notice]) -> Iterable[tuple[Notice, Json]]:
        for one in notices:
            if (high is not None and one.id >= high) or one.id <= max(since or 0, low or 0):
                continue
            if not call.is_listed(one.at):
                continue
            if (kinds and one.type not in kinds) or one.type in without:
                continue
            if not include_filtered and call.entities.filtered(c, one):
                continue
            if (rendered := call.entities.notice(c, one)) is not None:
                yield one, rendered

    if low is not None:
        matches = list(islice(matching(merge(c.mentions, c.notices, key=lambda one: one.id)), limit))[::-1]
    else:
        latest_first = merge(reversed(c.mentions), reversed(c.notices), key=lambda one: one.id, reverse=True)
        matches = list(islice(matching(latest_first), limit))
    return json_response([one for _, one in matches], headers=_links(call, [notice.id for notice, _ in matches], limit))


def conversations(call: Call) -> Response:
    """Conversations, newest first; paged by the ids of their last statuses."""
    c = call.community("read:statuses")
    limit = call.limit(20, 40)
    if not call.server.conversations:
        return json_response([])
    by_last = {dialog.messages[-1]: dialog for dialog in c.dialogs.values() if dialog.person}
    last_ids = _page(list(by_last), call.params, limit)
    rendered = [call.entities.conversation(c, by_last[last]) for last in last_ids]
    return json_response(rendered, headers=_links(call, last_ids, limit))


def page(call: Call) -> Response:
    """A minimal HTML page for the status's URL."""
    community = call.entities.named(str(call.request.path_params["acct"]))
    if not isinstance(community, Community):
        return HTMLResponse("<!doctype html><title>Not found</title><p>There is nobody here.", 404)
    status_id = call.request.path_params.get("id")
    ids = community.posts[-20:][::-1] if status_id is None else [call.path_id()]
    entries = [entry for one in ids if (entry := call.network.world.entry(community, one)) is not None]
    body = "".join(
        f"<article>{call.entities.status(community, entry)['content']}"
        f"<small>{instants.text(entry.at)}</small></article>"
        for entry in entries
    )
    title = f"{community.profile.title} · {len(community.followers)} followers"
    return HTMLResponse(f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{body}')
