"""Mentions of an Instagram account by others: in a caption, in a comment, or as a tag in a picture.

A mention of any other kind than these two is a caption that @mentions the account, of a picture in which it is tagged.
"""

from __future__ import annotations

from typing import Final

from sandbox.entities import Community, Entry
from sandbox.graph import ids
from sandbox.graph.call import Call
from sandbox.graph.errors import gone

TAG_ALONE: Final = "instagram_tag"
"""The kind of a mention that only tags the account in the picture."""
IN_COMMENT: Final = "instagram_comment"
"""The kind of a mention in a comment below another account's media."""


def mentioning(call: Call, c: Community, object_id: str, kind: str) -> Entry:
    """The media or comment with this id, if it @mentions the account. Raises `GraphError` else."""
    parsed_id = ids.read(object_id, [c])
    entry = call.world.entry(c, parsed_id[2]) if parsed_id is not None and parsed_id[0] == kind else None
    is_comment = entry is not None and entry.topic == IN_COMMENT
    if entry is None or entry.kind != "mention" or entry.topic == TAG_ALONE or is_comment != (kind == ids.IG_COMMENT):
        raise gone(object_id)
    return entry
