"""The content plan."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Query, Response, status
from pydantic import ValidationError
from sqlalchemy import Row

from app.access.current import CurrentActor, PagerDep, ReadDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.kit.errors import AppError, Invalid
from app.kit.paging import Cursor, Keyset, Limit, Page
from app.kit.preconditions import IfMatch, version_tag
from app.kit.routing import FieldProblem, problems
from app.kit.schemas import Id, Instant, Text
from app.kit.validation import field_errors
from app.posts import matching, mix_routes, reads, service
from app.posts.models import Category, Post, PostOrigin, PostStatus
from app.posts.schemas import (
    PostBulkProblem,
    PostBulkResult,
    PostBulkResults,
    PostCreate,
    PostMetricsRead,
    PostPublish,
    PostRead,
    PostsCreate,
    PostUpdate,
)

ROUTER = Router("/v1", tag="posts")


class PostSort(StrEnum):
    """The time by which a list of posts is sorted, latest first."""

    CREATED = "created_at"
    PLANNED = "planned_at"
    PUBLISHED = "published_at"


_KEYSETS: Final = {
    PostSort.CREATED: Keyset((Post.created_at, Post.id)),
    PostSort.PLANNED: Keyset((Post.planned_at, Post.id)),
    PostSort.PUBLISHED: Keyset((Post.published_at, Post.id)),
}
_GONE: Final = "-gone"
ExpectedVersions = Annotated[frozenset[int] | None, Depends(IfMatch(ignored_suffix=_GONE))]


def _post_read(row: Row[Any], response: Response) -> PostRead:
    """The post, its ETag in the header: its version, and whether it is gone from the platform."""
    tag = version_tag(row.version)
    response.headers["ETag"] = tag if row.gone_at is None else f'{tag[:-1]}{_GONE}"'
    return PostRead.model_validate(row)


@ROUTER.post(
    "/posts",
    operation_id="posts.create",
    permission=Permission.POSTS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409),
)
async def create(body: PostCreate, actor: CurrentActor, session: SessionDep, response: Response) -> PostRead:
    """Add a post to the content plan."""
    post = await service.create(session, actor, body)
    return _post_read((await reads.by_ids(session, [post.id]))[post.id], response)


@ROUTER.post(
    "/posts/bulk", operation_id="posts.create-many", permission=Permission.POSTS_WRITE, responses=problems(409)
)
async def create_many(
    body: PostsCreate,
    actor: CurrentActor,
    session: SessionDep,
    atomic: Annotated[bool, Query(description="All or nothing: one invalid item refuses them all with 422.")] = False,
) -> PostBulkResults:
    """Add up to 500 posts to the content plan; each has its own result."""
    parsed = [_parsed(item) for item in body.posts]
    valid = [item for item in parsed if isinstance(item, PostCreate)]
    created = iter(await service.create_many(session, actor, valid))
    results = [next(created) if isinstance(item, PostCreate) else item for item in parsed]
    problems_by_index = {
        index: _problem(result) for index, result in enumerate(results) if isinstance(result, AppError)
    }
    if atomic and problems_by_index:
        raise Invalid(
            f"{len(problems_by_index)} of {len(results)} posts cannot be taken; none was.",
            code="bulk-refused",
            errors=[
                {**error, "field": ".".join(filter(None, (f"posts.{index}", error["field"])))}
                for index, problem in problems_by_index.items()
                for error in _field_errors(problem)
            ],
        )
    rows = await reads.by_ids(session, [result.id for result in results if isinstance(result, Post)])
    return PostBulkResults(
        created=len(rows),
        failed=len(problems_by_index),
        data=[
            PostBulkResult(
                index=index,
                post=PostRead.model_validate(rows[result.id]) if isinstance(result, Post) else None,
                problem=problems_by_index.get(index),
            )
            for index, result in enumerate(results)
        ],
    )


def _parsed(item: dict[str, Any]) -> PostCreate | AppError:
    try:
        return PostCreate.model_validate(item)
    except ValidationError as error:
        errors = field_errors([{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)])
        return Invalid(f"{errors[0]['field'] or 'post'}: {errors[0]['detail']}", errors=errors)


def _problem(error: AppError) -> PostBulkProblem:
    return PostBulkProblem(
        code=error.code, detail=error.detail, errors=[FieldProblem.model_validate(field) for field in error.errors]
    )


def _field_errors(problem: PostBulkProblem) -> list[dict[str, Any]]:
    """The errors of an item, by field; one error of the whole item where it concerns no field."""
    errors = [field.model_dump(by_alias=True) for field in problem.errors]
    return errors or [{"in": "body", "field": None, "code": problem.code, "detail": problem.detail}]


@ROUTER.get("/posts", operation_id="posts.list", permission=Permission.POSTS_READ)
async def list_posts(
    actor: CurrentActor,
    connection: ReadDep,
    pager: PagerDep,
    project_id: Id | None = None,
    community_id: Id | None = None,
    status: PostStatus | None = None,
    origin: PostOrigin | None = None,
    category: Category | None = None,
    categorised: Annotated[bool | None, Query(description="Only posts with a category, or only those without.")] = None,
    q: Annotated[Text | None, Query(min_length=1, max_length=200, description="Text that the post contains.")] = None,
    sort: Annotated[PostSort, Query(description="Newest first by this time; posts without it are left out.")] = (
        PostSort.CREATED
    ),
    since: Annotated[Instant | None, Query(alias="from", description="Not before this instant, by `sort`.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Before this instant, by `sort`.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PostRead]:
    """The posts of the content plan, planned ones and found ones."""
    keyset = _KEYSETS[sort]
    time = keyset.columns[0]
    query = reads.posts(actor.workspace_id)
    filters = (
        (Post.project_id, project_id),
        (Post.community_id, community_id),
        (Post.status, status),
        (Post.origin, origin),
        (Post.category, category),
    )
    for column, value in filters:
        if value is not None:
            query = query.where(column == value)
    if categorised is not None:
        query = query.where(Post.category.is_not(None) if categorised else Post.category.is_(None))
    if q is not None:
        query = query.where(Post.text.icontains(q, autoescape=True))
    if since is not None:
        query = query.where(time >= since)
    if until is not None:
        query = query.where(time < until)
    if sort is not PostSort.CREATED:
        query = query.where(time.is_not(None))
    result = await connection.execute(keyset.after(query, pager.read(cursor, (datetime, UUID)), limit))
    rows, next_cursor = pager.page(result.all(), limit, (sort.value, "id"))
    return Page(data=[PostRead.model_validate(row) for row in rows], next_cursor=next_cursor)


@ROUTER.get("/posts/{post_id}", operation_id="posts.read", permission=Permission.POSTS_READ, responses=problems(404))
async def read(post_id: UUID, actor: CurrentActor, connection: ReadDep, response: Response) -> PostRead:
    """One post; its ETag is what `If-Match` takes."""
    return _post_read(await reads.one(connection, actor.workspace_id, post_id), response)


@ROUTER.patch(
    "/posts/{post_id}",
    operation_id="posts.update",
    permission=Permission.POSTS_WRITE,
    responses=problems(404, 409, 412),
)
async def update(
    post_id: UUID,
    body: PostUpdate,
    actor: CurrentActor,
    session: SessionDep,
    expected_versions: ExpectedVersions,
    response: Response,
) -> PostRead:
    """Change a post. Of a published one only the category may change; its figures move with it."""
    post = await service.change(
        session, actor, post_id=post_id, changes=body.changes(), expected_versions=expected_versions
    )
    return _post_read((await reads.by_ids(session, [post.id]))[post.id], response)


@ROUTER.delete(
    "/posts/{post_id}",
    operation_id="posts.delete",
    permission=Permission.POSTS_WRITE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409, 412),
)
async def delete(post_id: UUID, actor: CurrentActor, session: SessionDep, expected_versions: ExpectedVersions) -> None:
    """Delete a draft."""
    await service.delete(session, actor, post_id=post_id, expected_versions=expected_versions)


@ROUTER.post(
    "/posts/{post_id}/publish",
    operation_id="posts.publish",
    permission=Permission.POSTS_PUBLISH,
    responses=problems(404, 409, 412),
)
async def publish(
    post_id: UUID,
    body: PostPublish,
    actor: CurrentActor,
    session: SessionDep,
    expected_versions: ExpectedVersions,
    response: Response,
) -> PostRead:
    """Record that a person has published a post by hand, and where.

    It is matched to the publication that polling finds there, now or later; a found post with that
    permalink is merged into this one.
    """
    post = await matching.publish(
        session,
        actor,
        post_id=post_id,
        permalink=body.permalink,
        published_at=body.published_at,
        expected_versions=expected_versions,
    )
    return _post_read((await reads.by_ids(session, [post.id]))[post.id], response)


@ROUTER.get(
    "/posts/{post_id}/metrics",
    operation_id="posts.metrics",
    permission=Permission.METRICS_READ,
    responses=problems(404),
)
async def metrics(post_id: UUID, actor: CurrentActor, connection: ReadDep) -> PostMetricsRead:
    """A post's counters at the last poll, each with its status."""
    return await reads.metrics(connection, actor.workspace_id, post_id)


ROUTER.include(mix_routes.ROUTER)
