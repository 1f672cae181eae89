"""The contract's suite: every adapter found, against the sandbox speaking its platform's wire format.

    stage       a sandbox of one community, an adapter connected to it, and the way between them
    pagination   what a list brings, and what the ledger says it should bring; finding: one thing in particular
    reading     the checks themselves, one function for each thing that the contract promises; and
               failing, writing, refusals, hooks, instants
    suite       all of them: `CHECKS`
    table       adapter × check, as it is printed at the end
    planted/    faults in real adapters, with which the suite itself is tested

`python -m tests.platforms.contract [adapter …]` runs it by itself; pytest runs it as tests, together with
tests of the suite: planted faults that have to make it red.

What an adapter does under broken answers stands in `test_every_adapter.py`. That other communities are
polled as before while one hangs belongs to the planner: `tests/communities`.
"""
