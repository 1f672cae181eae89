"""Passwords, tokens, links, keys and personal values stay where they belong.

An installation is used in all the ways in which it meets such values, wrong ones too. Afterwards they are looked
for in its logs (at debug), its answers, its jobs, in Valkey and in a dump of its database.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest
import redis

from tests.servers import Servers
from tests.system.canaries import Canaries, dump_of, monitored, stored_in_valkey
from tests.system.installation import VALKEY_DATABASE, InstalledDatabase, eventually, service_environment
from tests.system.sandbox import Sandbox, sandbox
from tests.system.serving import api, process

PEOPLE = frozenset({"user_account", "invitation"})
ROUTES = frozenset({"hook", "hook_route"})
"""A hook is found by its address; what is sent there is verified by the hook's secrets, which are sealed."""
CONVERSATIONS = frozenset({"message", "inquiry", "inquiry_lexeme"})
INBOX = (
    "GET /v1/inquiries",
    "GET /v1/inquiries/{id}",
    "GET /v1/inquiries/{id}/messages",
    "POST /v1/inquiries/{id}/messages",
)
INVITED = ("GET /account/invitation", "POST /account/invitation")
"""The page of an invitation shows whom it is for; its form holds the token."""
TEAM = (
    "POST /v1/workspaces",
    "POST /v1/invitations",
    "GET /v1/invitations",
    "GET /v1/invitations/{id}",
    "GET /v1/users",
    "GET /v1/users/{id}",
    "GET /v1/me",
)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox."""
    with sandbox(tmp_path, "vk") as made:
        yield made


class Usage:
    """Somebody who uses an installation, and notes every secret."""

    def __init__(self, url: str, canaries: Canaries) -> None:
        self.canaries = canaries
        self.url = url
        self.stack = contextlib.ExitStack()
        self.http = self.client()

    def client(self, **headers: str) -> httpx.Client:
        """A client whose answers are noted; it is closed at the end."""
        hooks = {"response": [self.canaries.note]}
        made = httpx.Client(base_url=self.url, headers=headers, timeout=30, event_hooks=hooks)
        return self.stack.enter_context(made)

    def call(self, method: str, path: str, body: object = None, *, status: int = 200, **headers: str) -> Any:
        """The response's JSON; fails on another status."""
        answer = self.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def people(self) -> None:
        """Sign up, keys, an invitation, sessions, a second factor, a new password."""
        add = self.canaries.add
        owner = {
            "name": add("name of a person", "Annabella Quillfeather", *TEAM, "PATCH /v1/me", tables=PEOPLE),
            "email": add("e-mail of a person", "quillfeather@agency.example", *TEAM, "PATCH /v1/me", tables=PEOPLE),
            "password": add("password of a sign-up", "seven crimson umbrellas"),
        }
        made = self.http.post("/v1/workspaces", json={"title": "Step & Co", "owner": owner}).json()
        key = add("API key", made["api_key"]["key"], "POST /v1/workspaces")
        self.http.headers["Authorization"] = f"Bearer {key}"
        spare = self.call("POST", "/v1/api-keys", {"title": "script"}, status=201, **{"Idempotency-Key": "canary-1"})
        add("second API key", spare["key"], "POST /v1/api-keys")
        self.call("POST", "/v1/api-keys", {"title": "script"}, status=201, **{"Idempotency-Key": "canary-1"})
        rotated = self.call("POST", f"/v1/api-keys/{spare['id']}/rotate", {"overlap_seconds": 60})
        add("rotated API key", rotated["key"], "POST /v1/api-keys/{id}/rotate")
        # Apps that make codes list accounts by it; pages say who one is.
        may_show = (*TEAM, "POST /v1/me/second-factor", *INVITED, "POST /account/sign-in", "GET /account")
        email = add("e-mail of a guest", "brandywine@agency.example", *may_show, tables=PEOPLE)
        guest = self.call("POST", "/v1/invitations", {"email": email, "name": "Boris", "role": "admin"}, status=201)
        token = add("invitation", guest["link"].partition("?token=")[2], "POST /v1/invitations", *INVITED)
        password = add("password", "nine velvet hammocks")
        pages = "/account/invitation"
        assert self.client().get(f"{pages}?token={token}").is_success
        self.client().get(f"/account/nowhere?token={token}")
        assert self.client().post(pages, data={"token": token, "password": "short"}).status_code == 422
        joined = self.client().post("/v1/invitations/accept", json={"token": token, "password": password}).json()
        session = add("session of a guest", joined["token"], "POST /v1/invitations/accept")
        self.client().post("/v1/invitations/accept", json={"token": token, "password": password})
        self.second_factor(self.client(Authorization=f"Bearer {session}"), email, password)
        users = self.call("GET", "/v1/users")["data"]
        guest_id = next(one["id"] for one in users if one["email"] == email)
        link = self.call("POST", f"/v1/users/{guest_id}/password-reset")["link"]
        reset = add("reset link", link.partition("?token=")[2], "POST /v1/users/{id}/password-reset")
        renewed = add("new password", "twelve amber lanterns")
        browser = self.client()
        for typed in (renewed, password):
            browser.post("/account/sign-in", data={"email": email, "password": typed})
        body = {"token": reset, "password": renewed}
        assert self.client().post("/v1/password-resets/confirm", json=body).is_success
        assert self.client().post("/v1/password-resets/confirm", json=body).status_code == 404

    def second_factor(self, device: httpx.Client, email: str, password: str) -> None:
        """Turn on the second factor, and sign in with it, as an app and as a browser."""
        add = self.canaries.add
        begun = device.post("/v1/me/second-factor").json()
        secret = parse_qs(urlsplit(begun["uri"]).query)["secret"][0]
        add("secret of the second factor", secret, "POST /v1/me/second-factor")
        confirmed = device.post("/v1/me/second-factor/confirm", json={"code": pyotp.TOTP(secret).now()}).json()
        recovery = add("recovery code", confirmed["codes"][0], "POST /v1/me/second-factor/confirm")
        device.get("/v1/me")
        wrong = add("wrong password", "eleven paper giraffes")
        attempts: tuple[dict[str, Any], ...] = (
            {"email": email, "password": wrong},
            {"email": email, "password": password},
            {"email": "nobody@agency.example", "password": wrong},
            {"email": email, "password": {"nested": wrong}},
            {"email": wrong, "password": [wrong], "unknown": wrong},
        )
        for body in attempts:
            assert self.client().post("/v1/sessions", json=body).status_code in {401, 422}
        self.client().post("/v1/sessions", content=f'{{"email": "{email}", "password": "{wrong}",,}}'.encode())
        browser = self.client()
        signing_in = {"email": email, "password": password, "code": recovery, "cookie": True}
        answer = browser.post("/v1/sessions", json=signing_in)
        assert answer.status_code == 201, answer.text
        (cookie,) = (one for one in answer.headers.get_list("set-cookie"))
        add("cookie", cookie.partition("=")[2].partition(";")[0], "POST /v1/sessions")
        browser.get("/v1/me", headers={"Cookie": cookie.partition(";")[0]})

    def clients(self) -> None:
        """A contact opens a link and agrees, by the page and wrongly."""
        add = self.canaries.add
        project = self.call("POST", "/v1/projects", {"title": "Town", "timezone": "Europe/Minsk"}, status=201)["id"]
        self.call("PUT", f"/v1/projects/{project}/brief", {"business": "Coffee"})
        contacts, own = f"/v1/projects/{project}/contacts", ("POST", "GET")
        answers = [f"{method} /v1/projects/{{id}}/contacts" for method in own]
        tables = frozenset({"contact", "client_statement"})
        contact = {
            "name": "Philippa Thistlewood",
            "email": add("e-mail of a contact", "thistlewood@coffee.example", *answers, tables=frozenset({"contact"})),
            "phone": add("phone of a contact", "+375 29 987-65-43", *answers, tables=frozenset({"contact"})),
        }
        contact_id = self.call("POST", contacts, contact, status=201)["id"]
        self.call("POST", contacts, contact, status=409)
        body = {"contact_id": contact_id, "purpose": "agree", "subject_kind": "brief", "subject_id": project}
        link = self.call("POST", "/v1/client-links", body, status=201)["link"]
        path = urlsplit(link).path
        path_of_page = (f"GET {path}", f"POST {path}/statements")
        add("token of a client link", path.rpartition("/")[2], "POST /v1/client-links", *path_of_page)
        statements = ("GET /v1/client-statements", *path_of_page)
        text = add("a contact's words", "lavender submarines", *statements, tables=frozenset({"client_statement"}))
        add("name of a contact", contact["name"], *answers, *statements, tables=tables)
        browser = self.client()
        page = browser.get(path, headers={"Accept": "application/json"}).json()
        form = {"answer": "agree", "content_hash": page["content_hash"], "text": text}
        assert browser.get(path).is_success
        assert browser.post(f"{path}/statements", data={**form, "content_hash": text}).status_code == 422
        assert browser.post(f"{path}/statements", data=form).status_code == 303
        assert browser.post(f"{path}/statements", json={**form, "answer": "decline"}).status_code == 409
        assert browser.put(path).status_code == 405
        assert browser.get(f"{path}/more").status_code == 404
        assert len(self.call("GET", "/v1/client-statements")["data"]) == 1

    def mistakes(self) -> None:
        """Secrets where they do not belong: in a path, a query, a header, a malformed body."""
        key = self.canaries.kept["API key"].value
        password = self.canaries.kept["password"].value
        stranger = self.client()
        for path in (f"/v1/projects/{key}", f"/v1/me?access_token={key}", f"/v1/links?slug={key}", f"/r/{key}"):
            stranger.get(path)
            stranger.get(path, headers={"Authorization": f"Bearer {key}x"})
        stranger.get("/v1/me", headers={"Authorization": f"Basic {key}"})
        stranger.get("/v1/me", headers={"X-Request-ID": f"{password}", "Cookie": f"session={key}"})
        self.http.post("/v1/posts", json={"password": password})
        self.http.patch("/v1/me", json={"name": {"token": password}})

    def conversations(self, network: Sandbox, db: InstalledDatabase) -> None:
        """Connect a community with its tokens and its hook, and answer a customer."""
        add = self.canaries.add
        vk = network.communities()["velo_dvor"]
        project = self.call("POST", "/v1/projects", {"title": "Town", "timezone": "Europe/Minsk"}, status=201)["id"]
        for kind, token in vk["tokens"].items():
            if token:
                add(f"token of the {kind}", token)
        body = {"project_id": project, "platform": "vk", "address": vk["address"], "backfill_days": 1}
        credentials = {kind: token for kind, token in vk["tokens"].items() if token}
        community = self.call("POST", "/v1/communities", {**body, "credentials": credentials}, status=201)["id"]
        secrets = {"secret": add("secret of the hook", "canary_hook_secret_42"), "confirmation": "a1b2c3d4"}
        hook = f"/v1/communities/{community}/hook"
        opened = self.call("PUT", hook, {"secrets": secrets})
        address = urlsplit(opened["url"]).path
        add(
            "address of the hook",
            address.rpartition("/")[2],
            "PUT /v1/communities/{id}/hook",
            "GET /v1/communities/{id}/hook",
            tables=ROUTES,
        )
        self.call("GET", hook)
        self.client().post(address, json={"type": "confirmation", "group_id": 1, "secret": secrets["secret"]})
        self.client().post(address, content=f'{{"secret": "{secrets["secret"]}"'.encode())
        text = add("a customer's words", "marzipan zeppelin", *INBOX, tables=CONVERSATIONS)
        network.act("velo_dvor", "message", text=f"Do you sell a {text}?", person=17)
        eventually(
            lambda: bool(self.call("GET", f"/v1/inquiries?project_id={project}&q=marzipan")["data"]),
            "the message is read",
        )
        inquiry = self.call("GET", f"/v1/inquiries?project_id={project}&q=marzipan")["data"][0]["id"]
        read = self.http.get(f"/v1/inquiries/{inquiry}").json()
        add("name of a customer", read["customer"]["name"], *INBOX, tables=CONVERSATIONS)
        reply = add("an answer to a customer", "we only have nougat airships", *INBOX, tables=CONVERSATIONS)
        sent = self.call("POST", f"/v1/inquiries/{inquiry}/messages", {"text": reply}, status=202)["id"]
        eventually(lambda: db.one("SELECT delivery FROM message WHERE id = $1", sent) == "sent", "the answer is sent")


def test_secrets_and_personal_values_are_nowhere_else(servers: Servers, network: Sandbox, tmp_path: Path) -> None:
    database = servers.clone()
    db = InstalledDatabase(servers.superuser_url(database))
    variables = service_environment(servers, database, network, VALKEY_DATABASE, INSTEP_LOG_LEVEL="debug")
    canaries = Canaries()
    with (
        monitored(servers.redis_url()) as commands,
        api(servers, database, tmp_path, **variables) as url,
        process("app.cli.main", "worker", variables=variables, log=tmp_path / "worker.log"),
    ):
        usage = Usage(url, canaries)
        with usage.stack:
            usage.people()
            usage.clients()
            usage.mistakes()
            usage.conversations(network, db)

    def hits() -> list[str]:
        logs = {name: (tmp_path / f"{name}.log").read_text(errors="replace") for name in ("api", "worker")}
        assert all("debug" in text or "info" in text for text in logs.values()), "nothing is logged"
        return [
            *canaries.in_answers(),
            *(hit for name, text in logs.items() for hit in canaries.in_text(f"the log of the {name}", text)),
            *canaries.in_text("a command to Valkey", "\n".join(commands)),
            *canaries.in_text("Valkey", stored_in_valkey(servers.redis_url(VALKEY_DATABASE))),
            *canaries.in_dump(dump_of(servers.superuser_url(database))),
        ]

    assert not (misplaced := hits()), "\n".join(misplaced)
    assert len(canaries.kept) > 20
    assert len(canaries.answers) > 40
    assert any("instep" in command or "arq" in command for command in commands), "Valkey was not used"
    # The control: one that is planted in each place is found there.
    secret = canaries.kept["password"].value
    canaries.answers.append(("GET /v1/me", secret))
    with (tmp_path / "worker.log").open("a") as log:
        log.write(f"{secret}\n")
    redis.Redis.from_url(servers.redis_url(VALKEY_DATABASE)).set("planted", secret)
    commands.append(secret)
    db.all("UPDATE job SET args = jsonb_build_object('planted', $1::text)", secret)
    assert sorted(set(hits())) == [
        "password in Valkey",
        "password in a command to Valkey",
        "password in the answer to GET /v1/me",
        "password in the log of the worker",
        "password in the table job",
    ]
