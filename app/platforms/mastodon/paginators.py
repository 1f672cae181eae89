"""How far Mastodon's lists have been read: what its cursors hold."""

from collections.abc import Sequence

from app.platforms import wire


class IdPaginator(wire.Shape):
    """How far a list paged by id has been read.

    Going back: everything from `newest` down to `below` is read. Otherwise everything up to
    `newest` is, and the next page is what lies just above it.
    """

    newest: wire.Id | None = None
    below: wire.Id | None = None

    def query(self) -> dict[str, str]:
        if self.below is not None:
            return {"max_id": self.below}
        return {} if self.newest is None else {"min_id": self.newest}

    def after(self, ids: Sequence[str], *, far_enough: bool) -> "tuple[IdPaginator, bool]":
        """The walk after a page of `ids`, newest first, and whether there is more to it."""
        going_back = self.below is not None or self.newest is None
        # A server that ignores where we are would show the same page for ever.
        if not ids or ids[-1] == self.below or (not going_back and ids[0] == self.newest):
            return IdPaginator(newest=self.newest), False
        if not going_back:
            return IdPaginator(newest=ids[0]), True
        newest = self.newest or ids[0]
        return (IdPaginator(newest=newest), False) if far_enough else (IdPaginator(newest=newest, below=ids[-1]), True)
