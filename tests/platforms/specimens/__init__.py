"""What the suites need to know of a platform before they can put its adapter to the test.

`test_every_adapter.py` holds each adapter to the contract against servers that misbehave, and
`contract/` against the sandbox. Neither knows a platform: what differs stands in a file
`specimens/<key>.py`, which is found by the adapter's key and declares `SPECIMEN: Final = Specimen(...)`.
An adapter without one fails `test_every_adapter_has_a_specimen`.

To write one:

1. `tokens` and `app`: one made-up text for every kind in `Spec.tokens` and every name in
   `Spec.app_settings`, each unlike any other, at least 12 characters long and in the platform's own
   form. The suites look for these texts wherever they must not be; settings that anybody may see are
   named in `public_settings`, and what is made out of secrets goes to `derived_secrets`.
2. `post_ids`, `comment`, `message`: ids as the adapter itself would give them. `None` for a kind of
   message that the platform takes no answer to.
3. `before`: says which request is the change. It is given every request made on the way of a reply, a
   publication, a refresh; for one that comes before the change (a lookup, an upload) it returns the
   platform's good answer, for the change itself `None`. The suite's fault then meets the change.
   An upload's address that stands in such an answer is built from `request.url`, so that the upload
   comes to the same server.
4. `silent`: the reads that never reach the platform, because it has nothing to read there; they must
   give an empty page (for `metrics`: everything `missing`).
5. `hollow`: the reads for which the platform honestly says "nothing" by `{}`.
6. `refusals`: at least one line for each documented error, in the platform's own form, with the class
   it means. Of `Throttled` give the form with the time and, where it exists, the one without. They are
   answered to the read `Refusal.of`, and to the first change there is, unless `refuses` is "reads".
   `refresh_refusals`: the same for the token endpoint, whose errors mostly have a form of their own.
7. For the sandbox, what lists bring: `listed_by_conversations`; where the sandbox's numbers reach us
   changed (YouTube rounds sizes), `size_shown`. `limits`: every limit of
   `WireFormat.limits` that counts calls. `codes`: errors that `WireFormat.fault` makes. `hook_secrets`: where
   `GET /_sandbox/communities` tells them under other names than `Spec.hook_secrets`.

Nothing here may be taken from the adapter under test: a table checked against itself is always right.
"""

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote

import httpx

from app.platforms.capabilities import OutgoingPost, Picture, ReplyTo
from app.platforms.contract import (
    Credentials,
    LimitScope,
    MessageKind,
    Metric,
    PlatformError,
    RemotePerson,
    Spec,
    Token,
)

__all__ = ["PIXEL", "Limited", "Refusal", "Specimen", "customer", "drafts", "json_response", "specimen"]

PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c4944415408d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""A picture of one dot, as PNG."""


def json_response(content: object, status: int = 200, **headers: str) -> httpx.Response:
    """A JSON answer; an underscore in a header's name is a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=content, headers=named)


def customer(external_id: str) -> RemotePerson:
    return RemotePerson(external_id, "A Customer")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer by which a platform refuses, and what it means."""

    name: str
    """In a few words, for the test's name."""
    means: type[PlatformError]
    body: object = b""
    """Bytes as they are; anything else as JSON."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    to_a_change: type[PlatformError] | None = None
    """What it means where a change was asked for, if that is something else."""
    retry_after: float | None = None
    """What `Throttled` must say."""
    scope: LimitScope | None = None
    """Likewise; needed there."""
    scopes: tuple[str, ...] | None = None
    """What `MissingPermission` must say; None: anything."""
    of: str = "community"
    """The read it is answered to."""
    refuses: Literal["both", "reads", "changes"] = "both"

    @property
    def answer(self) -> httpx.Response:
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return httpx.Response(self.status, headers=self.headers, content=content)


@dataclass(frozen=True, slots=True)
class Limited:
    """A limit of the sandbox's wire format, and what meeting it must be called."""

    name: str
    """Without the wire format's name: `user_rps`."""
    scope: LimitScope
    call: str = "community"
    """What meets it: a read or a change that needs no ids (`publish text`), by its name in `calls`."""
    timed: bool = True
    """The platform tells, or its documentation, when the next call may be made."""


def hook_secrets(connection: Mapping[str, Any]) -> Mapping[str, str]:
    """What the sandbox tells of a community's hook, of its application, and of itself, by the names it has there."""
    settings = {**connection, **connection.get("app", {}), **connection.get("callback", {})}
    return {name: value for name, value in settings.items() if isinstance(value, str)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """See the module."""

    tokens: Mapping[Token, str]
    post_ids: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    refresh_refusals: tuple[Refusal, ...] = ()
    address: str
    """A community's, in its canonical spelling."""
    external_id: str
    comment: ReplyTo | None = None
    message: ReplyTo | None = None
    before: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    app: Mapping[str, str] = field(default_factory=dict)
    aliases: frozenset[str] = frozenset()
    public_settings: frozenset[str] = frozenset({"client_id"})
    derived_secrets: tuple[str, ...] = ()
    token_in_url: bool = False
    """The platform wants the token in the path or the query and nowhere else (Telegram)."""
    silent: frozenset[str] = frozenset()
    """Of `posts`, `metrics`, `conversations`, `comments`."""
    hollow: frozenset[str] = frozenset()
    """Of all reads."""
    absent_if_none: frozenset[Metric] = frozenset()
    """Counters that answers leave out where there are none, which is all they say of none."""
    listed_by_conversations: frozenset[MessageKind] = frozenset()
    """Every new message of these kinds comes with `conversations`."""
    reported_size: Callable[[int], int | None] = lambda size: size
    limits: tuple[Limited, ...] = ()
    codes: Mapping[int | str, type[PlatformError]] = field(default_factory=dict)
    hook_secrets: Callable[[Mapping[str, Any]], Mapping[str, str]] = hook_secrets
    """From what the control API tells of a community, at least those of `Spec.hook_secrets`."""
    hook_source: str | None = None
    """The network address that calls come from, where that is what they are known by (Odnoklassniki)."""
    hinted_by_hooks: frozenset[MessageKind] = frozenset()
    """Of these a hook says that there are some, and not which (Instagram's mentions)."""
    hook_signed: bool = False
    """A call's signature covers its body."""

    def credentials(self, base_url: str) -> Credentials:
        return Credentials(self.address, base_url, self.external_id, self.tokens, self.app, self.aliases)

    @property
    def secrets(self) -> frozenset[str]:
        """Every text that must not be seen; of one made of parts (`id:secret`) its later part too."""
        settings = [value for name, value in self.app.items() if name not in self.public_settings]
        whole = [*self.tokens.values(), *settings, *self.derived_secrets]
        parts = [part for text in whole for part in text.split(":", 1)[1:]]
        return frozenset(form for text in (*whole, *parts) for form in (text, quote(text, safe="")))


def specimen(key: str) -> Specimen:
    """The specimen of an adapter; `LookupError`, saying what to do, where there is none."""
    name = f"{__name__}.{key}"
    try:
        declared = importlib.import_module(name).SPECIMEN
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        message = f"tests/platforms/specimens/{key}.py is missing: its package's docstring says what belongs there"
        raise LookupError(message) from None
    assert isinstance(declared, Specimen)
    return declared


def drafts(spec: Spec) -> dict[str, OutgoingPost]:
    """Posts that the platform takes: a text, a picture with a text, an album; those of them that it knows."""
    may = spec.publishing
    if may is None:
        return {}
    pictures = tuple(
        Picture(PIXEL, "image/png", f"dot {n}", f"https://instep.example/{n}.png" if may.by_url else None)
        for n in range(2)
    )
    posts = {"text": OutgoingPost("Open on Sunday")} if may.text_alone else {}
    if may.pictures > 0:
        posts["picture"] = OutgoingPost("Open on Sunday", pictures[:1])
    if may.pictures > 1:
        posts["album"] = OutgoingPost("Open on Sunday", pictures)
    return posts
