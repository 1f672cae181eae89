"""The content plan."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Query, Response, status

from app.access.current import CurrentActor, ListDep, ReadDep, SessionDep
from app.access.permissions import Permission
from app.access.routing import Router
from app.kit.bulk_results import Atomic, BulkProblem, parsed_item, refusal
from app.kit.errors import AppError
from app.kit.lists import json_page, json_response
from app.kit.paging import Cursor, Limit, Page
from app.kit.preconditions import IfMatch, version_tag
from app.kit.routing import TAGGED, problems
from app.kit.schemas import Id, Instant, SearchText
from app.posts import matching, mix_routes, reads, service
from app.posts.lexemes import POST_LEXEMES
from app.posts.models import Category, Post, PostOrigin, PostStatus
from app.posts.schemas import (
    PostBulk,
    PostBulkResult,
    PostBulkResults,
    PostCreate,
    PostInclude,
    PostMarkPublished,
    PostMetricsRead,
    PostRead,
    PostUpdate,
)

ROUTER = Router("/v1", tag="posts")


_GONE: Final = "-gone"
ExpectedVersions = Annotated[frozenset[int] | None, Depends(IfMatch(ignored_suffix=_GONE))]


Include = Annotated[
    list[PostInclude] | None, Query(description="`metrics`: with the counters at the last poll, each with its status.")
]


def _tag(post: Mapping[str, Any]) -> str:
    """A post's ETag: its version, and whether it is gone from the platform."""
    tag = version_tag(post["version"])
    return tag if post["gone_at"] is None else f'{tag[:-1]}{_GONE}"'


def _post_read(post: Mapping[str, Any], response: Response) -> PostRead:
    """The post, its ETag in the header."""
    response.headers["ETag"] = _tag(post)
    return PostRead.model_validate(post)


@ROUTER.post(
    "/posts",
    operation_id="posts.create",
    permission=Permission.POSTS_WRITE,
    status_code=status.HTTP_201_CREATED,
    responses=problems(404, 409) | {201: TAGGED},
)
async def create(body: PostCreate, actor: CurrentActor, session: SessionDep, response: Response) -> PostRead:
    """Add a post to the content plan.

    As a draft, or planned for a local time. Nothing is sent to the platform.
    """
    post = await service.create(session, actor, body)
    return _post_read((await reads.changed(session, [post.id]))[post.id], response)


@ROUTER.post(
    "/posts/bulk", operation_id="posts.create-many", permission=Permission.POSTS_WRITE, responses=problems(409)
)
async def create_many(
    body: PostBulk, actor: CurrentActor, session: SessionDep, atomic: Atomic = False
) -> PostBulkResults:
    """Add up to 500 posts to the content plan; each has its own result.

    Each item is the body of `POST /v1/posts`. Without `atomic`, the valid ones are added, and the others say
    what is wrong.
    """
    parsed = [parsed_item(PostCreate, item) for item in body.items]
    valid = [item for item in parsed if isinstance(item, PostCreate)]
    created = iter(await service.create_many(session, actor, valid))
    results = [next(created) if isinstance(item, PostCreate) else item for item in parsed]
    failed = {index: result for index, result in enumerate(results) if isinstance(result, AppError)}
    if atomic and failed:
        raise refusal(failed, len(results))
    rows = await reads.changed(session, [result.id for result in results if isinstance(result, Post)])
    return PostBulkResults(
        succeeded=len(rows),
        failed=len(failed),
        data=[
            PostBulkResult(
                index=index,
                post=PostRead.model_validate(rows[result.id]) if isinstance(result, Post) else None,
                problem=BulkProblem.of(result) if isinstance(result, AppError) else None,
            )
            for index, result in enumerate(results)
        ],
    )


@ROUTER.get("/posts", operation_id="posts.list", permission=Permission.POSTS_READ, response_model=Page[PostRead])
async def list_posts(
    lists: ListDep,
    project_id: Annotated[Id | None, Query(description="Only posts of this project.")] = None,
    community_id: Annotated[Id | None, Query(description="Only those of this community.")] = None,
    status: Annotated[PostStatus | None, Query(description="Only those with this status.")] = None,
    origin: Annotated[PostOrigin | None, Query(description="Only planned ones, or only found ones.")] = None,
    category: Annotated[Category | None, Query(description="Only those of this category.")] = None,
    categorised: Annotated[bool | None, Query(description="Only posts with a category, or only those without.")] = None,
    q: Annotated[
        SearchText,
        Query(
            description="Words that stand in its text: all of them, in any form (`заказ` finds `заказы`) and any "
            "order. Whole words, not parts of words. 422 `no-word` where it has only words that are not searched, "
            "such as `the`."
        ),
    ] = None,
    sort: Annotated[reads.PostSort, Query(description="Newest first by this time; posts without it are left out.")] = (
        reads.PostSort.CREATED
    ),
    since: Annotated[Instant | None, Query(description="Not before this instant, by `sort`.")] = None,
    until: Annotated[Instant | None, Query(description="Before this instant, by `sort`.")] = None,
    include: Include = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The posts of the content plan, planned ones and found ones.

    `origin` tells planned posts from those that polling found on the platform. Filters can be combined; `since`
    and `until` go by `sort`.
    """
    filters = {
        "project_id": project_id,
        "community_id": community_id,
        "status": status,
        "origin": origin,
        "category": category,
        "categorised": categorised,
        f"since_{sort.value}": since,
        f"until_{sort.value}": until,
    }
    rows, next_cursor = await lists.page(
        reads.POSTS[bool(include)], sort=sort, limit=limit, cursor=cursor, filters=filters, search=(POST_LEXEMES, q)
    )
    return json_page([reads.post_read(row) for row in rows], next_cursor)


@ROUTER.get(
    "/posts/{post_id}",
    operation_id="posts.read",
    permission=Permission.POSTS_READ,
    responses=problems(404),
    response_model=PostRead,
)
async def read(post_id: UUID, lists: ListDep, include: Include = None) -> Response:
    """One post; its ETag is what `If-Match` takes.

    With `include` the ETag is that of the whole answer.
    """
    post = reads.post_read(await lists.one(reads.POSTS[bool(include)], post_id))
    response = json_response(post)
    if not include:
        response.headers["ETag"] = _tag(post)
    return response


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
    """Change a post.

    A merge patch: what is left out stays. Of a published post only the category may change (409
    `already-published`); its figures move with it.
    """
    post = await service.change(
        session, actor, post_id=post_id, changes=body.changes(), expected_versions=expected_versions
    )
    return _post_read((await reads.changed(session, [post.id]))[post.id], response)


@ROUTER.delete(
    "/posts/{post_id}",
    operation_id="posts.delete",
    permission=Permission.POSTS_WRITE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409, 412),
)
async def delete(post_id: UUID, actor: CurrentActor, session: SessionDep, expected_versions: ExpectedVersions) -> None:
    """Delete a draft.

    Its links stay, without a post. 409 `not-a-draft` for any other: take it back to a draft first.
    """
    await service.delete(session, actor, post_id=post_id, expected_versions=expected_versions)


@ROUTER.post(
    "/posts/{post_id}/mark-published",
    operation_id="posts.mark-published",
    permission=Permission.POSTS_PUBLISH,
    responses=problems(404, 409, 412),
)
async def mark_published(
    post_id: UUID,
    body: PostMarkPublished,
    actor: CurrentActor,
    session: SessionDep,
    expected_versions: ExpectedVersions,
    response: Response,
) -> PostRead:
    """Record that a person has published a post by hand, and where.

    It is matched to the publication that polling finds there, now or later; a found post with that
    permalink is merged into this one. `unmark-published` undoes it.
    """
    post = await matching.mark_published(
        session,
        actor,
        post_id=post_id,
        permalink=body.permalink,
        published_at=body.published_at,
        expected_versions=expected_versions,
    )
    return _post_read((await reads.changed(session, [post.id]))[post.id], response)


@ROUTER.post(
    "/posts/{post_id}/unmark-published",
    operation_id="posts.unmark-published",
    permission=Permission.POSTS_PUBLISH,
    responses=problems(404, 409, 412),
)
async def unmark_published(
    post_id: UUID, actor: CurrentActor, session: SessionDep, expected_versions: ExpectedVersions, response: Response
) -> PostRead:
    """Undo that a post was marked as published: it is a draft or planned again, as it was.

    What stands on the platform stays in the list as a found post, with the category that it has now; so
    figures do not change. A post that polling found was never marked: 409.
    """
    post = await matching.unmark_published(session, actor, post_id=post_id, expected_versions=expected_versions)
    return _post_read((await reads.changed(session, [post.id]))[post.id], response)


@ROUTER.get(
    "/posts/{post_id}/metrics",
    operation_id="posts.metrics",
    permission=Permission.METRICS_READ,
    responses=problems(404),
)
async def metrics(post_id: UUID, actor: CurrentActor, connection: ReadDep) -> PostMetricsRead:
    """A post's counters at the last poll, each with its status.

    A counter that is not known is null with a status and a reason, and `last_known` has the latest value that
    was read.
    """
    return await reads.metrics(connection, actor.workspace_id, post_id)


ROUTER.include(mix_routes.ROUTER)
