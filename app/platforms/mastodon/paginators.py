"""How far Mastodon's lists have been read: the contents of the cursors."""

from collections.abc import Sequence

from app.platforms import wire


class IdPaginator(wire.Model):
    """Reads a list paged by id: backwards in the first scan, then forwards.

    Backwards, the items from `latest` down to `below` are read. Forwards, all items up to `latest` are, and the next
    page holds those just above it.
    """

    latest: wire.Id | None = None
    below: wire.Id | None = None

    def query(self) -> dict[str, str]:
        if self.below is not None:
            return {"max_id": self.below}
        return {} if self.latest is None else {"min_id": self.latest}

    def after(self, ids: Sequence[str], *, reached_since: bool) -> "tuple[IdPaginator, bool]":
        """The paginator after a page of `ids`, latest first, and whether the scan goes on.

        A backward scan ends where `reached_since`: the page's last item is older than the caller's `since`.
        """
        backwards = self.below is not None or self.latest is None
        # A server that ignores the parameters returns the same page again and again.
        if not ids or ids[-1] == self.below or (not backwards and ids[0] == self.latest):
            return IdPaginator(latest=self.latest), False
        if not backwards:
            return IdPaginator(latest=ids[0]), True
        latest = self.latest or ids[0]
        if reached_since:
            return IdPaginator(latest=latest), False
        return IdPaginator(latest=latest, below=ids[-1]), True
