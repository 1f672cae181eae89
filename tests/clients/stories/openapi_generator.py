"""The story, told with the client that OpenAPI Generator generates (pydantic, urllib3)."""

import json
import os
import time
from uuid import UUID

from instep_pydantic import (
    AccessApi,
    ApiClient,
    Category,
    CommunitiesApi,
    CommunityConnect,
    Configuration,
    InquiriesApi,
    InquiryStatus,
    KpisApi,
    LinkCreate,
    LinksApi,
    LinkUpdate,
    Owner,
    PostBulk,
    PostCreate,
    PostMarkPublished,
    PostsApi,
    PostUpdate,
    ProjectCreate,
    ProjectsApi,
    ProjectUpdate,
    ReplyCreate,
    ReplyDelivery,
    Resolve,
    ValueStatus,
    WorkspaceCreate,
)
from instep_pydantic.exceptions import NotFoundException


def sign_up(url: str) -> ApiClient:
    """A client with the key of a new agency."""
    owner = Owner(name="Anna", email=f"anna-{os.getpid()}@pydantic.example")
    with ApiClient(Configuration(host=url)) as stranger:
        made = AccessApi(stranger).workspaces_create(WorkspaceCreate(title="Step & Co", owner=owner))
    client = ApiClient(Configuration(host=url, access_token=made.api_key.key))
    me = AccessApi(client).me_read()
    assert me.session is None
    assert me.workspace.id == made.workspace.id
    return client


def project_of(api: ProjectsApi) -> UUID:
    """A project; one field of it is patched."""
    made = api.projects_create(ProjectCreate(title="Coffee", timezone="Europe/Minsk"))
    after = api.projects_update(made.id, ProjectUpdate(title="Coffee house"))
    assert after.model_copy(update={"title": made.title, "version": made.version}) == made
    assert after.title == "Coffee house"
    return made.id


def community_of(api: CommunitiesApi, project_id: UUID) -> UUID:
    """A connected community that has been read."""
    connection = json.loads(os.environ["STORY_COMMUNITY"])
    body = CommunityConnect(
        project_id=project_id,
        platform=connection["platform"],
        address=connection["address"],
        credentials=connection["credentials"],
        backfill_days=7,
    )
    made = api.communities_connect(body)
    deadline = time.monotonic() + 60
    while (health := api.communities_health(made.id)).polled_at is None:
        assert time.monotonic() < deadline, health
        time.sleep(0.2)
    assert health.hook is None
    return made.id


def post_of(api: PostsApi, community_id: UUID, url: str | None) -> UUID:
    """A post that was marked as published; one field of it is patched."""
    body = PostCreate(
        community_id=community_id,
        text="Guess the roast!",
        category=Category.ENGAGING,
        planned_for="2030-05-06T09:30:00",
    )
    made = api.posts_create(body)
    after = api.posts_update(made.id, PostUpdate(text="Which roast is it?"))
    before = {"text": made.text, "version": made.version, "updated_at": made.updated_at}
    assert after.model_copy(update=before) == made
    assert api.posts_update(made.id, PostUpdate(category=None)).category is None
    many = PostBulk(items=[PostCreate(community_id=community_id), PostCreate(community_id=made.id, text="Nowhere")])
    results = api.posts_create_many(many, atomic=False)
    assert (results.succeeded, results.failed) == (1, 1)
    failed = results.data[1]
    assert (failed.index, failed.post) == (1, None)
    assert failed.problem is not None
    assert failed.problem.code == "not-found"
    marked = api.posts_mark_published(made.id, PostMarkPublished(permalink=f"{url}/115012345678901234"))
    assert marked.published_at is not None
    assert refusal(api, community_id) == "not-found"
    return made.id


def refusal(api: PostsApi, post_id: UUID) -> str | None:
    """The code with which a post is refused; None where it is found."""
    try:
        api.posts_read(post_id)
    except NotFoundException as refused:
        return str(json.loads(refused.body or "{}").get("code"))
    return None


def answer_customer(api: InquiriesApi, community_id: UUID) -> None:
    """Answer the customer of an open inquiry, and wait until it is sent."""
    (inquiry,) = api.inquiries_list(community_id=community_id, status=InquiryStatus.OPEN, limit=1).data
    message = api.inquiries_reply(inquiry.id, ReplyCreate(text="We are looking into it."))
    deadline = time.monotonic() + 60
    while True:
        detail = api.inquiries_read(inquiry.id)
        if any(one.id == message.id and one.delivery == ReplyDelivery.SENT for one in detail.messages):
            break
        assert time.monotonic() < deadline, detail
        time.sleep(0.2)
    assert api.inquiries_resolve(inquiry.id, Resolve(reason="Told them.")).status == InquiryStatus.RESOLVED


def read_kpis(api: KpisApi, project_id: UUID) -> None:
    """All KPIs; an unknown value is None with a reason."""
    answers = api.kpis_all(project_id)
    assert len(answers.data) > 10
    for answer in answers.data:
        assert (answer.value is None) == (answer.status == ValueStatus.UNKNOWN), answer
        assert answer.value is not None or answer.reason, answer


def follow_link(api: LinksApi, project_id: UUID, post_id: UUID) -> None:
    """A link; one field of it is patched."""
    body = LinkCreate(project_id=project_id, target="https://coffee.example/menu", title="Menu", post_id=post_id)
    made = api.links_create(body)
    after = api.links_update(made.id, LinkUpdate(title="The menu"))
    assert after.model_copy(update={"title": made.title}) == made
    assert api.links_read(made.id).title == "The menu"


def main() -> None:
    """Sign up → project → communities → posts → inbox → reply → KPIs → links."""
    with sign_up(os.environ["STORY_URL"]) as client:
        project_id = project_of(ProjectsApi(client))
        communities = CommunitiesApi(client)
        community_id = community_of(communities, project_id)
        post_id = post_of(PostsApi(client), community_id, communities.communities_read(community_id).url)
        answer_customer(InquiriesApi(client), community_id)
        read_kpis(KpisApi(client), project_id)
        follow_link(LinksApi(client), project_id, post_id)


if __name__ == "__main__":
    main()
