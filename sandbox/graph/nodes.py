"""Nodes, their fields and edges, looked up in tables by kind of node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias
from urllib.parse import urlencode

from sandbox.entities import Community, Dialog, Entry, Media
from sandbox.graph import ids
from sandbox.graph.call import VERSION, Call
from sandbox.graph.errors import invalid
from sandbox.graph.query import Field, parsed
from sandbox.graph.state import Container

Json: TypeAlias = dict[str, object]
Args: TypeAlias = Mapping[str, str]


class Absent:
    """A field that is left out."""


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Node:
    """A Graph object."""

    kind: str
    id: str
    c: Community
    what: Entry | Dialog | Media | Container | int | None = None

    @property
    def entry(self) -> Entry:
        assert isinstance(self.what, Entry)
        return self.what

    @property
    def dialog(self) -> Dialog:
        assert isinstance(self.what, Dialog)
        return self.what

    @property
    def media(self) -> Media:
        assert isinstance(self.what, Media)
        return self.what

    @property
    def container(self) -> Container:
        assert isinstance(self.what, Container)
        return self.what


@dataclass(frozen=True, slots=True)
class Listing:
    """An edge's items, in response order."""

    items: Sequence[tuple[int, Node | Json]]
    """Each with its sort key, which cursors contain."""
    falling: bool = False
    """The sort keys are descending."""
    usual: int = 25
    most: int = 100
    strict: bool = False
    """A `limit` above `most` is an error; else it is reduced to `most`."""
    summary: Json | None = None


FieldOf: TypeAlias = Callable[[Call, Node], object]
EdgeOf: TypeAlias = Callable[[Call, Node, Args], Listing | Node | Json]
Change: TypeAlias = Callable[[Call, Node], Node | Json]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of node."""

    title: str
    """Its name in errors."""
    usual: str
    """The default fields."""
    fields: Mapping[str, FieldOf]
    edges: Mapping[str, EdgeOf] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)
    """Handlers of POST, by edge; "" is the node itself."""
    delete: Change | None = None


PROFILE: Final = frozenset({"id", "name", "username", "email", "self_ig_scoped_id"})
"""Fields that a person or account may have, although a response leaves them out."""


def select(value: Json, fields: tuple[Field, ...], existing: Collection[str], title: str) -> Json:
    """The requested fields of an object. Raises `GraphError` 100 for one that is not among the existing ones."""
    if (unknown := next((one.name for one in fields if one.name not in existing), None)) is not None:
        raise invalid(f"Tried accessing nonexisting field ({unknown}) on node type ({title})")
    return {one.name: value[one.name] for one in fields if one.name in value}


class Graph:
    """All kinds, and the rendering of their nodes."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.kinds = kinds

    def node(self, call: Call, node: Node, selected_fields: tuple[Field, ...] | None) -> Json:
        """A node's id and selected fields (None: the default ones)."""
        kind = self.kinds[node.kind]
        content: Json = {}
        for one in parsed(kind.usual) if selected_fields is None else selected_fields:
            if (value := self._value(call, kind, node, one)) is not ABSENT:
                content[one.alias or one.name] = value
        content["id"] = node.id
        return content

    def _value(self, call: Call, kind: Kind, node: Node, one: Field) -> object:
        if one.name == "id":
            return node.id
        if one.name in kind.fields:
            value = kind.fields[one.name](call, node)
            if isinstance(value, Node):
                return self.node(call, value, one.below)
            if isinstance(value, dict) and one.below is not None and "data" not in value:
                return select(value, one.below, {*value, *PROFILE}, "Profile")
            return value
        if one.name not in kind.edges:
            raise invalid(f"Tried accessing nonexisting field ({one.name}) on node type ({kind.title})")
        edge_listing = kind.edges[one.name](call, node, {**one.args, "fields": one.source})
        if isinstance(edge_listing, Node):
            return self.node(call, edge_listing, one.below)
        if not isinstance(edge_listing, Listing):
            return edge_listing
        content = self.page(call, node, one.name, edge_listing, {**one.args, "fields": one.source}, one.below)
        # An empty edge is left out of a node unless it has a summary.
        return content if edge_listing.items or "summary" in content else ABSENT

    def edge(self, call: Call, node: Node, name: str) -> Json:
        """The response for an edge. Raises `GraphError` 100 for an unknown one."""
        kind = self.kinds[node.kind]
        if name not in kind.edges:
            raise invalid(f"Tried accessing nonexisting field ({name}) on node type ({kind.title})")
        edge_listing = kind.edges[name](call, node, call.params)
        if isinstance(edge_listing, Node):
            raise invalid(f"Tried accessing nonexisting field ({name}) on node type ({kind.title})")
        if not isinstance(edge_listing, Listing):
            return edge_listing
        below = parsed(call.get("fields")) if call.get("fields") else None
        return self.page(call, node, name, edge_listing, call.params, below)

    def page(
        self, call: Call, node: Node, edge: str, listing: Listing, args: Args, below: tuple[Field, ...] | None
    ) -> Json:
        """A page of a listing. A cursor holds an item's sort key, so it stays valid when the item is deleted."""
        limit = _limit(args, listing)
        after, before = _place(args, "after"), _place(args, "before")
        sign = -1 if listing.falling else 1
        places = [place for place, _ in listing.items]
        start, end = 0, len(places)
        if after is not None:
            start = next((at for at, place in enumerate(places) if (place - after) * sign > 0), len(places))
        elif before is not None:
            end = next((at for at, place in enumerate(places) if (place - before) * sign >= 0), len(places))
            start = max(end - limit, 0)
        end = min(start + limit, end)
        page_items = listing.items[start:end]
        content: Json = {
            "data": [self.node(call, one, below) if isinstance(one, Node) else one for _, one in page_items],
        }
        if page_items:
            cursors = {"before": _cursor(page_items[0][0]), "after": _cursor(page_items[-1][0])}
            paging: Json = {"cursors": cursors}
            if end < len(places):
                paging["next"] = _url(call, node, edge, args, limit, "after", cursors["after"])
            if start > 0:
                paging["previous"] = _url(call, node, edge, args, limit, "before", cursors["before"])
            content["paging"] = paging
        if listing.summary is not None and args.get("summary", "").lower() not in {"", "0", "false"}:
            content["summary"] = listing.summary
        return content


def number(args: Args, name: str) -> int | None:
    """A non-negative integer parameter; None if absent. Raises `GraphError` 100 for anything else."""
    text = args.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise invalid(f"Param {name} must be a non-negative integer")
    return int(text)


def instant(args: Args, name: str) -> int | None:
    """A time parameter (seconds or ISO 8601) in milliseconds since 1970; None if absent."""
    text = args.get(name, "")
    if not text or (text.isascii() and text.isdecimal()):
        seconds = number(args, name)
        return None if seconds is None else seconds * 1000
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"Param {name} must be a valid date") from None
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1000)


def text_of(at: int) -> str:
    """Graph's time format: `2026-11-23T06:00:00+0000`."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _limit(args: Args, listing: Listing) -> int:
    requested_limit = number(args, "limit")
    if requested_limit is None:
        return listing.usual
    if listing.strict and requested_limit > listing.most:
        raise invalid(f"The 'limit' parameter should not exceed {listing.most}")
    return min(requested_limit, listing.most)


def _cursor(place: int) -> str:
    return ids.coded(f"at:{place}")


def _place(args: Args, name: str) -> int | None:
    text = args.get(name, "")
    if not text:
        return None
    kind, _, place = ids.decoded(text).partition(":")
    if kind != "at" or not place.isdecimal():
        raise invalid(f"Invalid cursor given for {name}")
    return int(place)


def _url(call: Call, node: Node, edge: str, args: Args, limit: int, way: str, cursor: str) -> str:
    """The URL of another page; like Graph's it contains the token."""
    kept = {
        name: value
        for name, value in args.items()
        if value and name not in {"after", "before", "limit", "access_token", "method", "appsecret_proof"}
    }
    query = urlencode({"access_token": call.caller.token, **kept, "limit": str(limit), way: cursor})
    return f"{call.network.base_url}/{VERSION}/{node.id}/{edge}?{query}"
