"""A small social network that speaks the platforms' wire formats, for demos, tests and frontend work.

It is a process of its own and the independent other side: it knows nothing of the adapters.

    clock       virtual time
    world       the state, a fold of ledger records; life says what happens by itself
    ledger      every event and every accepted effect, append-only; recount adds it up again
    network     what all wire formats share, and what each declares: `Wire`; wire finds them
    grants      tokens; hooks sends events; limits counts calls
    mastodon/   one folder for each wire format
    vk/
    faults      what can go wrong on the way
    control     `/_sandbox/…`: look behind the curtain and pull the strings

How to add a platform's wire format: add a folder, and touch nothing else.

    sandbox/<name>/__init__.py    `PROFILES` and `WIRE: Final = Wire(name="<name>", …)`; `wire.declared` finds it
                   api.py         `routes(network) -> list[Route]`, every path beginning with one of `Wire.prefixes`
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
records: `Wire.fold` and `Network.part`.
"""
