"""What the test suites need to know about a platform to test its adapter.

`test_every_adapter.py` holds each adapter to the contract against servers that misbehave, and
`contract/` against the sandbox. Neither names a platform: what differs is in a module
`specimens/<key>.py`, named by the adapter's key, which declares `SPECIMEN: Final = Specimen(...)`.
An adapter without one fails `test_every_adapter_has_a_specimen`.

To write one:

1. `tokens` and `app`: one made-up text for every kind in `Spec.tokens` and every name in
   `Spec.app_settings`, all different, at least 12 characters long and in the platform's own
   format. The suites search for these texts wherever they must not appear; settings that are no secrets are
   named in `public_settings`, and texts derived from secrets go to `derived_secrets`.
2. `post_ids`, `comment`, `message`: ids in the adapter's format. `None` for a kind of
   message that cannot be answered.
3. `before`: tells which request is the change. It gets every request of a reply, a
   publication or a refresh; for one before the change (a lookup, an upload) it returns the
   platform's valid response, for the change itself `None`. The suite's fault then replaces the response to
   the change. An upload URL in such a response is built from `request.url`, so that the upload
   goes to the same server.
4. `not_offered`: the reads that send no request, because the platform offers none; they must
   return an empty page (for `metrics`: everything `missing`).
5. `empty_as_object`: the reads for which `{}` is the platform's valid empty response.
6. `refusals`: at least one for each documented error, in the platform's own format, with the class
   expected. Of `Throttled` list the form with a time to wait and, if it exists, the one without. They are
   sent in response to the read `Refusal.of`, and to the first change, unless `refuses` is "reads".
   `refresh_refusals`: the same for the token endpoint, whose errors mostly have a format of their own.
7. For the sandbox, what lists contain: `listed_by_conversations`; if the platform changes the
   sandbox's numbers (YouTube rounds sizes), `reported_size`. `limits`: every limit of
   `WireFormat.limits` that counts calls. `codes`: errors that `WireFormat.fault` makes. `hook_secrets`: if
   `GET /_sandbox/communities` has other names for them than `Spec.hook_secrets`.

Nothing here may be taken from the adapter under test: a table compared with itself is always right.
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
"""A PNG picture of one pixel."""


def json_response(content: object, status: int = 200, **headers: str) -> httpx.Response:
    """A JSON response; underscores in the names of headers become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=content, headers=named)


def customer(external_id: str) -> RemotePerson:
    return RemotePerson(external_id, "A Customer")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response of a platform, and the error that the adapter must raise for it."""

    name: str
    """For the test's parameter id."""
    means: type[PlatformError]
    body: object = b""
    """Bytes are sent unchanged, anything else as JSON."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    to_a_change: type[PlatformError] | None = None
    """The error expected for a change, if it differs."""
    retry_after: float | None = None
    """Expected of `Throttled`."""
    scope: LimitScope | None = None
    """Expected of `Throttled`, and required for it."""
    scopes: tuple[str, ...] | None = None
    """Expected of `MissingPermission`; None accepts any."""
    of: str = "community"
    """The read to which it is the response."""
    refuses: Literal["both", "reads", "changes"] = "both"

    @property
    def answer(self) -> httpx.Response:
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return httpx.Response(self.status, headers=self.headers, content=content)


@dataclass(frozen=True, slots=True)
class Limited:
    """A rate limit of the sandbox's wire format, and the `Throttled` expected when it is exceeded."""

    name: str
    """Without the wire format's name: `user_rps`."""
    scope: LimitScope
    call: str = "community"
    """The call that exceeds it: a read, or a change without ids (`publish text`), by its name in `calls`."""
    timed: bool = True
    """The platform or its documentation tells when the next call may be made."""


def hook_secrets(connection: Mapping[str, Any]) -> Mapping[str, str]:
    """The texts in the sandbox's description of a community, its application and its callback, by name."""
    settings = {**connection, **connection.get("app", {}), **connection.get("callback", {})}
    return {name: value for name, value in settings.items() if isinstance(value, str)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """See the module's docstring."""

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
    token_in_url: Callable[[str], bool] = lambda _: False
    """Whether the platform accepts the token only in the URL, by the path: of all (Telegram), or of one (Instagram)."""
    not_offered: frozenset[str] = frozenset()
    """Of `posts`, `metrics`, `conversations`, `comments`."""
    empty_as_object: frozenset[str] = frozenset()
    """Of all reads."""
    absent_if_none: frozenset[Metric] = frozenset()
    """Counters that responses omit if they are 0."""
    listed_by_conversations: frozenset[MessageKind] = frozenset()
    """`conversations` lists every new message of these kinds."""
    reported_size: Callable[[int], int | None] = lambda size: size
    limits: tuple[Limited, ...] = ()
    codes: Mapping[int | str, type[PlatformError]] = field(default_factory=dict)
    hook_secrets: Callable[[Mapping[str, Any]], Mapping[str, str]] = hook_secrets
    """From the control API's description of a community: at least those of `Spec.hook_secrets`."""
    hook_source: str | None = None
    """The source address of webhook requests, if they are verified by it (Odnoklassniki)."""
    hinted_by_hooks: frozenset[MessageKind] = frozenset()
    """Kinds of messages that a webhook announces without their content (Instagram's mentions)."""
    hook_signed: bool = False
    """The signature of a webhook request covers its body."""

    def credentials(self, base_url: str) -> Credentials:
        return Credentials(self.address, base_url, self.external_id, self.tokens, self.app, self.aliases)

    @property
    def secrets(self) -> frozenset[str]:
        """Every text that must not be exposed; of one with a colon (`id:secret`) the later part too."""
        settings = [value for name, value in self.app.items() if name not in self.public_settings]
        whole = [*self.tokens.values(), *settings, *self.derived_secrets]
        parts = [part for text in whole for part in text.split(":", 1)[1:]]
        return frozenset(form for text in (*whole, *parts) for form in (text, quote(text, safe="")))


def specimen(key: str) -> Specimen:
    """The specimen of an adapter. Raises `LookupError` with instructions if there is none."""
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
    """Posts that the platform accepts: of a text, a picture with a text, and an album."""
    may = spec.publishing
    if may is None:
        return {}
    kind = "image/png" if "image/png" in may.picture_types else min(may.picture_types)
    pictures = tuple(
        Picture(PIXEL, kind, f"dot {n}", f"https://instep.example/{n}.png" if may.by_url else None) for n in range(2)
    )
    posts = {"text": OutgoingPost("Open on Sunday")} if may.text_alone else {}
    if may.pictures > 0:
        posts["picture"] = OutgoingPost("Open on Sunday", pictures[:1])
    if may.pictures > 1:
        posts["album"] = OutgoingPost("Open on Sunday", pictures)
    return posts
