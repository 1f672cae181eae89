"""Handles whose domain is not their server's, hosts in any script, and hosts that are numbers."""

from collections.abc import Callable

import httpx
import pytest

from app.platforms.contract import Credentials, Gone, Token
from app.platforms.mastodon.adapter import Mastodon
from tests.platforms.mastodon.test_adapter import account, with_handler

HANDLE_DOMAIN, SERVER = "tea.example", "social.tea.example"
Handler = Callable[[httpx.Request], httpx.Response]


def resource(href: str = f"https://{SERVER}/users/me", **more: object) -> httpx.Response:
    profile = {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": f"https://{SERVER}/@me"}
    own = {"rel": "self", "type": "application/activity+json", "href": href, **more}
    return httpx.Response(200, json={"subject": f"acct:me@{HANDLE_DOMAIN}", "links": [profile, own]})


class Web:
    """Two hosts: one of the handle, of which only webfinger answers as told, and the account's server."""

    def __init__(self, webfinger: httpx.Response, other: httpx.Response | None = None) -> None:
        self.webfinger, self.other = webfinger, other or httpx.Response(404, text="<html>Not found</html>")
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host == SERVER:
            return resource() if "webfinger" in request.url.path else httpx.Response(200, json=account("7"))
        return self.webfinger if request.url.path == "/.well-known/webfinger" else self.other

    @property
    def adapter(self) -> Mastodon:
        return with_handler(self)

    def paths(self, host: str) -> list[str]:
        return [one.url.path for one in self.requests if one.url.host == host]


def credentials() -> Credentials:
    address = Mastodon.address(f"@me@{HANDLE_DOMAIN}")
    assert address.base_url is not None
    return Credentials(address.canonical, address.base_url, tokens={Token.COMMUNITY: "secret-token-1234"})


@pytest.mark.parametrize(
    "other",
    [
        httpx.Response(404, text="<html>"),
        httpx.Response(200, text="<html>Our tea</html>"),
        httpx.Response(301, headers={"location": "https://www.tea.example/"}),
        httpx.Response(403),
        httpx.Response(405),
    ],
)
async def test_webfinger_names_the_server(other: httpx.Response) -> None:
    web = Web(resource(), other)
    seen = await web.adapter.community(credentials())
    assert (seen.external_id, seen.base_url) == ("7", f"https://{SERVER}")
    (request,) = [one for one in web.requests if "webfinger" in one.url.path]
    assert request.url.params["resource"] == f"acct:me@{HANDLE_DOMAIN}"
    sent_to = {one.url.host for one in web.requests if "authorization" in one.headers}
    assert sent_to == {SERVER}, "the token is no other host's"


async def test_webfinger_may_be_redirected_to_the_server() -> None:
    to = f"https://{SERVER}/.well-known/webfinger?resource=acct:me@{HANDLE_DOMAIN}"
    web = Web(httpx.Response(302, headers={"location": to}))
    assert (await web.adapter.community(credentials())).base_url == f"https://{SERVER}"
    assert web.paths(SERVER) == ["/.well-known/webfinger", "/api/v1/accounts/lookup"]


@pytest.mark.parametrize(
    "webfinger",
    [
        httpx.Response(404),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"links": []}),
        httpx.Response(302, headers={"location": "http://127.0.0.1/"}),
        httpx.Response(302, headers={"location": f"https://{HANDLE_DOMAIN}/.well-known/webfinger"}),
        resource(href=f"https://{HANDLE_DOMAIN}/users/me"),
        resource(href="http://social.tea.example/users/me"),
        resource(href="https://user:word@social.tea.example/users/me"),
        resource(href="javascript:alert(1)"),
        resource(type="text/html"),
    ],
)
async def test_without_another_server_the_account_does_not_exist(webfinger: httpx.Response) -> None:
    web = Web(webfinger)
    with pytest.raises(Gone):
        await web.adapter.community(credentials())
    assert web.paths(SERVER) == []


async def test_an_account_that_is_found_by_its_name_needs_no_webfinger() -> None:
    web = Web(resource(), httpx.Response(200, json=account("7")))
    assert (await web.adapter.community(credentials())).base_url is None
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("@me@bücher.example", "https://xn--bcher-kva.example/@me"),
        ("@me@BÜCHER.example", "https://xn--bcher-kva.example/@me"),
        ("https://bücher.example/@me", "https://xn--bcher-kva.example/@me"),
        ("https://here.example/@me@bücher.example", "https://xn--bcher-kva.example/@me"),
        ("@me@faß.example", "https://xn--fa-hia.example/@me"),
        ("@me@кофе。рф", "https://xn--e1ajmy.xn--p1ai/@me"),
    ],
)
def test_a_host_may_be_in_any_script(text: str, canonical: str) -> None:
    address = Mastodon.address(text)
    assert address.canonical == canonical
    assert Mastodon.address(address.canonical) == address


@pytest.mark.parametrize("text", ["@me@bü cher.example", "@me@bü_cher.example", "@me@\u00ad", "@me@a..b\u00fc"])
def test_a_host_that_cannot_be_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Mastodon address"):
        Mastodon.address(text)
