"""A simulated social network that speaks the platforms' wire formats, for demos, tests and frontend work.

It runs as a process of its own and shares no code with the adapters it is called by.

    clock       virtual time
    world       the state, rebuilt from ledger records; simulation schedules what happens without a request
    ledger      every event and every accepted effect, append-only; recount adds it up again
    network     what all wire formats share, and what each declares: `WireFormat`; wire_formats finds them
    grants      tokens; hooks sends events; limits counts calls
    mastodon/   one folder for each wire format
    vk/
    faults      injected faults: errors, dropped connections, slow or malformed responses
    control     the control API at `/_sandbox/…`: inspect and change the simulation

How to add a platform's wire format: add a folder, and touch nothing else.

    sandbox/<name>/__init__.py    `PROFILES` and `WIRE_FORMAT: Final = WireFormat(name="<name>", …)`
                   api.py         `routes(network) -> list[Route]`, each path under one of `WireFormat.prefixes`
                   wire_models.py the platform's objects, rendered from the world
                   errors.py      `fault(code) -> Response`, an error in the platform's own form
                   events.py      `HOOK: Final = Hook(events=…, confirmation=…)`, if it calls back

A handler begins with `network.tick()`, reads its parameters (`network.params`), finds the token's rights
(`network.grants.find(token, "<name>")`; None, or a `state` that is not `good`, or a `kind` that may not), counts the
call (`network.counter`, `network.limits["<name>_<limit>"]`), and answers from `network.world`. What it changes is
`world.emit(type, community, "api", **fields)`, whose record types stand in `ledger`; an effect that can be repeated
has a `key`, and `world.keys` says what that key has made. Ids are whole numbers in the world; a platform with ids of
another kind derives them, both ways. An image is `world.emit("media", c, "api", kind="image/png", count=size)`; its
record's `id` goes into the `media` of the post. An access token is
`network.grants.make(c, "community", seconds=3600, origin="api")`, and a refresh token that was used up is
`network.grants.end(token, "revoked", origin="api")`. What the platform keeps besides all this, it folds from
records: `WireFormat.extra_state` and `Network.extra_state`.
"""
