"""A small social network that speaks the platforms' wire formats, for demos, tests and frontend work.

It is a process of its own and the independent other side: it knows nothing of the adapters.

    clock       virtual time
    world       the state, a fold of ledger records; life says what happens by itself
    ledger      every event and every accepted effect, append-only; recount adds it up again
    mastodon/   one package for each wire format
    vk/
    faults      what can go wrong on the way
    control     `/_sandbox/…`: look behind the curtain and pull the strings
"""
