"""A simulated social network that speaks the platforms' wire formats, for demos, tests and frontend work.

It runs in its own process and shares no code with the adapters that call it.

    clock       virtual time
    world       the state, rebuilt from ledger records; simulation schedules what happens without a request
    ledger      append-only record of everything that was accepted; recount recomputes the figures from it
    network     what all wire formats share, and what each declares: `WireFormat`; wire_formats finds them
    grants      tokens; hooks sends webhook events; limits counts requests
    mastodon/   one folder for each wire format
    vk/
    faults      injected faults: errors, dropped connections, slow or malformed responses
    control     the control API at `/_sandbox/…`: inspect and change the simulation

How to add a platform's wire format: add a folder; no other file changes.

    sandbox/<name>/__init__.py    `PROFILES` and `WIRE_FORMAT: Final = WireFormat(name="<name>", …)`
                   api.py         `routes(network) -> list[Route]`, each path under one of `WireFormat.prefixes`
                   wire_models.py the platform's objects, rendered from the world
                   errors.py      `fault(code) -> Response`, an error in the platform's own form
                   events.py      `HOOK: Final = Hook(events=…, confirmation=…)`, if it sends webhook events

A handler calls `network.tick()` first, reads its parameters (`network.params`), looks up the token
(`network.grants.find(token, "<name>")`; refuse None, a `state` other than `good`, or the wrong `kind`), counts the
request (`network.counter`, `network.limits["<name>_<limit>"]`), and responds from `network.world`. It changes state
with `world.emit(type, community, "api", **fields)`; `ledger` lists the record types. An effect with an idempotency
key has a `key`, and `world.keys` holds the record made for it. Ids are integers in the world; a platform with another
kind of id converts in both directions. An image is `world.emit("media", c, "api", kind="image/png", count=size)`; its
record's `id` goes into the `media` of the post. `network.grants.make(c, "community", seconds=3600, origin="api")`
makes an access token, `network.grants.end(token, "revoked", origin="api")` revokes a used single-use refresh token.
State that the platform keeps besides this is rebuilt from records: `WireFormat.extra_state`, `Network.extra_state`.
"""
