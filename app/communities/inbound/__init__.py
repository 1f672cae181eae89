"""Inbound: events that platforms send to a community's hook, or that its stream returns.

A call is verified over its raw bytes (`ingest`) and assigned to the communities its events are about.
The events are stored as `pending`, with the job that applies them, in one statement (`store`); only
after the commit is the call acknowledged. The job publishes what polls publish too, and marks the
events `applied` (`apply`); what an adapter cannot parse stays `unparsed` and is parsed again (`unparsed`).
What a poll finds although the hook should have delivered it is stored as a gap (`reconcile`).
Hooks are opened and closed in `subscriptions`, and subscribed and probed at the platforms by `jobs`.
"""
