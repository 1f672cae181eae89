"""The record of changes: who or what changed what, and what it was before. Nothing in it is ever changed or deleted.

Every service function that changes something calls `record`. The entry is a row of the same transaction
(`recording`). A job appends the entries of a workspace to a chain in which each link holds the hash of the one before
and a signature (`chain`), and closes each day with a signed head. `verification` finds what was changed, removed,
reordered or put in since.
"""

from app.access.audit.recording import digest, record, snapshot

__all__ = ["digest", "record", "snapshot"]
