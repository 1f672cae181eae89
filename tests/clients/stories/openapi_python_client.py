"""The story, told with the client that openapi-python-client generates."""

import json
import os
import time
from typing import TypeVar
from uuid import UUID

from instep_attrs import AuthenticatedClient, Client
from instep_attrs.api.access import me_read, workspaces_create
from instep_attrs.api.communities import communities_connect, communities_health, communities_read
from instep_attrs.api.inquiries import inquiries_list, inquiries_read, inquiries_reply, inquiries_resolve
from instep_attrs.api.kpis import kpis_all
from instep_attrs.api.links import links_create, links_read, links_update
from instep_attrs.api.posts import posts_create, posts_create_many, posts_mark_published, posts_read, posts_update
from instep_attrs.api.projects import projects_create, projects_read, projects_update
from instep_attrs.models import (
    Category,
    CommunityConnect,
    CommunityConnectCredentials,
    InquiryStatus,
    LinkCreate,
    LinkUpdate,
    Owner,
    PostBulk,
    PostCreate,
    PostMarkPublished,
    PostUpdate,
    Problem,
    ProjectCreate,
    ProjectUpdate,
    ReplyCreate,
    ReplyDelivery,
    Resolve,
    ValueStatus,
    WorkspaceCreate,
)

T = TypeVar("T")


def good(answer: T | Problem | None) -> T:
    """The answer of a call that succeeded."""
    assert answer is not None, "the answer is not one that the document declares"
    assert not isinstance(answer, Problem), answer
    return answer


def sign_up(url: str) -> AuthenticatedClient:
    """A client with the key of a new agency."""
    owner = Owner(name="Anna", email=f"anna-{os.getpid()}@attrs.example")
    made = good(workspaces_create.sync(client=Client(url), body=WorkspaceCreate(title="Step & Co", owner=owner)))
    client = AuthenticatedClient(url, made.api_key.key)
    me = good(me_read.sync(client=client))
    assert me.session is None
    assert me.workspace.id == made.workspace.id
    return client


def project_of(client: AuthenticatedClient) -> UUID:
    """A project; one field of it is patched."""
    made = good(projects_create.sync(client=client, body=ProjectCreate(title="Coffee", timezone="Europe/Minsk")))
    before = good(projects_read.sync(made.id, client=client))
    after = good(projects_update.sync(made.id, client=client, body=ProjectUpdate(title="Coffee house")))
    same = {"title": before.title, "version": before.version}
    assert {**after.to_dict(), **same} == before.to_dict()
    assert (after.title, after.archived_at) == ("Coffee house", None)
    return made.id


def community_of(client: AuthenticatedClient, project_id: UUID) -> UUID:
    """A connected community that has been read."""
    connection = json.loads(os.environ["STORY_COMMUNITY"])
    body = CommunityConnect(
        project_id=project_id,
        platform=connection["platform"],
        address=connection["address"],
        credentials=CommunityConnectCredentials.from_dict(connection["credentials"]),
        backfill_days=7,
    )
    made = good(communities_connect.sync(client=client, body=body))
    deadline = time.monotonic() + 60
    while (health := good(communities_health.sync(made.id, client=client))).polled_at is None:
        assert time.monotonic() < deadline, health
        time.sleep(0.2)
    assert health.hook is None
    return made.id


def post_of(client: AuthenticatedClient, community_id: UUID) -> UUID:
    """A post that was marked as published; one field of it is patched."""
    body = PostCreate(
        community_id=community_id,
        text="Guess the roast!",
        category=Category.ENGAGING,
        planned_for="2030-05-06T09:30:00",
    )
    made = good(posts_create.sync(client=client, body=body))
    after = good(posts_update.sync(made.id, client=client, body=PostUpdate(text="Which roast is it?")))
    before = {"text": made.text, "version": made.version, "updated_at": made.to_dict()["updated_at"]}
    assert {**after.to_dict(), **before} == made.to_dict()
    uncategorised = good(posts_update.sync(made.id, client=client, body=PostUpdate(category=None)))
    assert uncategorised.category is None
    many = PostBulk([PostCreate(community_id), PostCreate(project_id_of(client, community_id), text="Nowhere")])
    results = good(posts_create_many.sync(client=client, body=many, atomic=False))
    assert (results.succeeded, results.failed) == (1, 1)
    failed = results.data[1]
    assert (failed.index, failed.post) == (1, None)
    assert failed.problem is not None
    assert failed.problem.code == "not-found"
    permalink = f"{good(communities_read.sync(community_id, client=client)).url}/115012345678901234"
    marked = good(posts_mark_published.sync(made.id, client=client, body=PostMarkPublished(permalink)))
    assert marked.published_at is not None
    refused = posts_read.sync(project_id_of(client, community_id), client=client)
    assert isinstance(refused, Problem)
    assert (refused.status, refused.code) == (404, "not-found")
    return made.id


def project_id_of(client: AuthenticatedClient, community_id: UUID) -> UUID:
    """The project of a community."""
    project_id: UUID = good(communities_read.sync(community_id, client=client)).project_id
    return project_id


def answer_customer(client: AuthenticatedClient, community_id: UUID) -> None:
    """Answer the customer of an open inquiry, and wait until it is sent."""
    page = good(inquiries_list.sync(client=client, community_id=community_id, status=InquiryStatus.OPEN, limit=1))
    (inquiry,) = page.data
    message = good(inquiries_reply.sync(inquiry.id, client=client, body=ReplyCreate(text="We are looking into it.")))
    deadline = time.monotonic() + 60
    while True:
        detail = good(inquiries_read.sync(inquiry.id, client=client))
        if any(one.id == message.id and one.delivery == ReplyDelivery.SENT for one in detail.messages):
            break
        assert time.monotonic() < deadline, detail
        time.sleep(0.2)
    assert good(inquiries_resolve.sync(inquiry.id, client=client, body=Resolve("Told them."))).status == "resolved"


def read_kpis(client: AuthenticatedClient, project_id: UUID) -> None:
    """All KPIs; an unknown value is None with a reason."""
    answers = good(kpis_all.sync(project_id, client=client))
    assert len(answers.data) > 10
    for answer in answers.data:
        assert (answer.value is None) == (answer.status == ValueStatus.UNKNOWN), answer
        assert answer.value is not None or answer.reason, answer


def follow_link(client: AuthenticatedClient, project_id: UUID, post_id: UUID) -> None:
    """A link; one field of it is patched."""
    body = LinkCreate(project_id=project_id, target="https://coffee.example/menu", title="Menu", post_id=post_id)
    made = good(links_create.sync(client=client, body=body))
    after = good(links_update.sync(made.id, client=client, body=LinkUpdate(title="The menu")))
    assert {**after.to_dict(), "title": made.title} == made.to_dict()
    assert good(links_read.sync(made.id, client=client)).title == "The menu"


def main() -> None:
    """Sign up → project → communities → posts → inbox → reply → KPIs → links."""
    client = sign_up(os.environ["STORY_URL"])
    project_id = project_of(client)
    community_id = community_of(client, project_id)
    post_id = post_of(client, community_id)
    answer_customer(client, community_id)
    read_kpis(client, project_id)
    follow_link(client, project_id, post_id)


if __name__ == "__main__":
    main()
