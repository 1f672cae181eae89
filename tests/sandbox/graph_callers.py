"""Callers of Graph."""

from typing import Any

from sandbox.graph import ids
from tests.sandbox.conftest import SandboxClient

PAGE, ACCOUNT = "cornercafe", "corner.cafe"
"""A Page, and an account on Instagram."""


class Someone:
    """A caller with a community's token."""

    def __init__(self, client: SandboxClient, community: str, kind: str = "community") -> None:
        self.client, self.world = client, client.world
        self.c = client.world.communities[community]
        self.token = client.token(community, kind)

    async def call(self, method: str, path: str, /, *, status: int = 200, files: Any = None, **params: Any) -> Any:
        sent = {name: str(value) for name, value in params.items()}
        where: dict[str, Any] = {"data": sent, "files": files} if method == "POST" else {"params": sent}
        answer = await self.client.http.request(
            method, f"/v26.0/{path}", headers={"Authorization": f"Bearer {self.token}"}, **where
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, /, **params: Any) -> Any:
        return await self.call("GET", path, **params)

    async def post(self, path: str, /, **params: Any) -> Any:
        return await self.call("POST", path, **params)

    async def refused(self, method: str, path: str, /, status: int = 400, **params: Any) -> tuple[int, int | None]:
        error = (await self.call(method, path, status=status, **params))["error"]
        return error["code"], error.get("error_subcode")

    async def act(self, act: str, **fields: object) -> Any:
        return await self.client.act(self.c.key, act, **fields)

    def post_id(self, number: str | int) -> str:
        """Meta's id of a post of the world."""
        return (
            ids.post(self.c, int(number))
            if self.c.profile.platform == "facebook"
            else ids.make(ids.MEDIA, self.c, int(number))
        )

    def number(self, post_id: str) -> str:
        """The world's number of a post of Meta."""
        entry_id = ids.read(post_id.rpartition("_")[2], [self.c])
        assert entry_id is not None
        return str(entry_id[2])
