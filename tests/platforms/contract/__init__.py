"""The contract's test suite: every adapter against the sandbox in its platform's wire format.

    stage       a sandbox of one community, an adapter connected to it, and the HTTP transport between them
    pagination  reading a list to its end, and comparing it with the sandbox's ledger
    finding     looking up one post or message through the adapter
    reading     checks, one function for each guarantee of the contract; more of them are in failing,
                writing, refusals, hooks and instants
    suite       all of them: `CHECKS`
    table       the table of adapters by checks, printed at the end
    planted/    faults planted in real adapters, which test the suite itself

`python -m tests.platforms.contract [adapter …]` runs the suite alone; pytest also runs the tests of the suite:
planted faults that must make it fail.

`test_every_adapter.py` tests adapters with broken responses; `tests/communities` tests that one hanging
community does not delay the others.
"""
