"""wall.*, likes.* and stats.getPostReach."""

from __future__ import annotations

from bisect import bisect_left

from sandbox.entities import Entry
from sandbox.instants import DAY
from sandbox.ledger import Fields
from sandbox.vk import photos, wire_models
from sandbox.vk.call import Call
from sandbox.vk.deleted_comments import DeletedComments
from sandbox.vk.errors import VkError
from sandbox.vk.wire_models import Json

POSTS_A_DAY = 50


def get(call: Call) -> object:
    c = call.wall()
    if call.params.get("filter", "all") not in ("all", "owner"):
        return {"count": 0, "items": [], **call.extended(c, [])}
    offset, count = call.between("offset", 0, 0, 1 << 31), call.between("count", 20, 0, 100)
    end = len(c.posts) - offset
    page = [c.wall[one] for one in c.posts[max(end - count, 0) : max(end, 0)][::-1]]
    return {
        "count": len(c.posts),
        "items": [wire_models.post(c, one) for one in page],
        **call.extended(c, page),
    }


def get_by_id(call: Call) -> object:
    """Up to 100 posts (`owner_id_post_id`), in the order requested; deleted ones are left out."""
    requested = [one for one in call.params.get("posts").split(",") if one]
    if not requested:
        raise VkError(100, "posts is undefined")
    items: list[Json] = []
    groups: dict[str, Json] = {}
    for one in requested[:100]:
        owner, _, post_id = one.strip().partition("_")
        c = call.community(owner[1:]) if owner.startswith("-") else None
        entry = call.network.world.entry(c, int(post_id)) if c is not None and post_id.isdecimal() else None
        if c is not None and entry is not None and entry.kind == "post":
            items.append(wire_models.post(c, entry))
            groups[c.key] = wire_models.group(c)
    return {"items": items} | (
        {"profiles": [], "groups": list(groups.values())} if call.params.flag("extended") else {}
    )


def get_comments(call: Call) -> object:
    """Comments of one level: of a post, or with `comment_id` of one thread."""
    c = call.wall()
    post = call.post(c, call.required("post_id"), 212)
    need_likes = call.params.flag("need_likes")
    thread_items = call.between("thread_items_count", 0, 0, 10)
    thread_id = call.params.integer("comment_id")
    level: list[Entry]
    if thread_id is None:
        level = [c.wall[one] for one in post.replies]
    else:
        root_comment = c.wall.get(thread_id)
        if root_comment is None or root_comment.post != post.id:
            raise VkError(100, "comment_id is incorrect")
        level = wire_models.thread(c, root_comment)
    descending = call.params.get("sort") == "desc"
    start, first = call.params.integer("start_comment_id"), 0
    if descending:
        level = level[::-1]
    if start:
        first = bisect_left([-one.id if descending else one.id for one in level], -start if descending else start)
    first = max(first + (call.params.integer("offset", 0) or 0), 0)
    page = level[first : first + call.between("count", 10, 0, 100)]
    items: list[Json] = []
    visible = list(page)
    for one in page:
        rendered = wire_models.comment(c, one, need_likes=need_likes)
        if thread_id is None:
            below = wire_models.thread(c, one)
            visible += below[:thread_items]
            rendered["thread"] = {
                "count": sum(not reply.deleted for reply in below),
                "items": [wire_models.comment(c, reply, need_likes=need_likes) for reply in below[:thread_items]],
                "can_post": True,
                "show_reply_button": True,
                "groups_can_post": True,
            }
        items.append(rendered)
    return {
        "count": post.comments,
        "items": items,
        "current_level_count": len(level),
        "can_post": True,
        "show_reply_button": True,
        "groups_can_post": True,
        **call.extended(c, visible),
    }


def get_comment(call: Call) -> object:
    c = call.wall()
    entry = call.network.world.entry(c, call.required("comment_id"))
    if entry is None or entry.kind != "comment":
        raise VkError(211)
    return {"items": [wire_models.comment(c, entry, need_likes=True)], **call.extended(c, [entry])}


def create_comment(call: Call) -> object:
    """Comment as the community (`from_group`, always so with its own token) or as its administrator."""
    c, world = call.wall(), call.network.world
    post = call.post(c, call.required("post_id"), 213)
    key, earlier_id = call.repeated("guid")
    if earlier_id is not None and (earlier := world.entry(c, int(earlier_id))) is not None:
        return _created(c_id=earlier.id, parents=wire_models.comment(c, earlier)["parents_stack"])
    text = call.params.get("message").strip()
    if not text:
        raise VkError(100, "message is undefined")
    fields = Fields(post=str(post.id), text=text)
    if (parent := call.params.integer("reply_to_comment")) is not None:
        above = world.entry(c, parent)
        if above is None or above.post != post.id:
            raise VkError(100, "reply_to_comment is incorrect")
        fields["parent"] = str(parent)
    if key:
        fields["key"] = key
    from_group = call.params.integer("from_group", 0)
    if call.grant.kind == "community" or from_group:
        call.own_community(wire_models.group_id(c) if call.grant.kind == "community" else from_group)
        if c is not call.own:
            raise VkError(213)
        fields["via"] = "comment"
        record = world.emit("reply", c, "api", **fields)
    else:
        fields.update({"person": wire_models.admin_id(call.own), "kind": "other"})
        record = world.emit("comment", c, "api", **fields)
    made = c.wall[int(record["id"])]
    return _created(c_id=made.id, parents=wire_models.comment(c, made)["parents_stack"])


def _created(*, c_id: int, parents: object) -> Json:
    return {"comment_id": c_id, "parents_stack": parents}


def post(call: Call) -> object:
    c, world = call.wall(), call.network.world
    if c is not call.own or not (call.grant.kind == "community" or call.params.flag("from_group")):
        raise VkError(214)
    key, earlier_id = call.repeated("guid")
    if earlier_id is not None:
        return {"post_id": int(earlier_id)}
    text, pictures = call.params.get("message").strip(), photos.attached(call, c)
    if not text and not pictures:
        raise VkError(100, "message or attachments are required")
    if "publish_date" in call.params:
        raise VkError(100, "publish_date: postponed posts are not kept here")
    # Simulated posts have a category; those created through the API have none.
    recent = (c.wall[one] for one in c.posts[-POSTS_A_DAY * 4 :])
    if sum(one.at > world.now - DAY and not one.category for one in recent) >= POSTS_A_DAY:
        raise VkError(214)
    fields = Fields(text=text)
    if pictures:
        fields["media"] = pictures
    if key:
        fields["key"] = key
    return {"post_id": int(world.emit("post", c, "api", **fields)["id"])}


def delete(call: Call) -> object:
    c = call.wall()
    if c is not call.own:
        raise VkError(15)
    entry = call.post(c, call.required("post_id"), 210)
    call.network.world.emit("post_deleted", c, "api", id=str(entry.id))
    return 1


def delete_comment(call: Call) -> object:
    c, world = call.wall(), call.network.world
    entry = world.entry(c, call.required("comment_id"))
    if c is not call.own or entry is None or entry.kind != "comment":
        raise VkError(211)
    world.emit("comment_deleted", c, "api", id=str(entry.id), post=str(entry.post), person=entry.person or 0)
    return 1


def restore_comment(call: Call) -> object:
    """Restore a customer's deleted comment."""
    c, world, comment_id = call.wall(), call.network.world, call.required("comment_id")
    if c is not call.own:
        raise VkError(211)
    if world.entry(c, comment_id) is not None:
        raise VkError(243)
    fields = call.network.extra_state(DeletedComments).deleted.get((c.key, comment_id))
    if fields is None or any(c.wall.get(int(fields[one])) is None for one in ("post", "parent") if one in fields):
        raise VkError(211)
    world.emit("comment_restored", c, "api", **fields)
    return 1


def likes_list(call: Call) -> object:
    c = call.wall()
    entry = call.network.world.entry(c, call.required("item_id"))
    if entry is None or call.params.get("type") not in ("post", "comment"):
        raise VkError(100, "item_id is incorrect")
    offset, count = call.between("offset", 0, 0, 1 << 31), call.between("count", 100, 0, 1000)
    return {"count": len(entry.reactors), "items": sorted(entry.reactors)[offset : offset + count]}


def post_reach(call: Call) -> object:
    """The number of different people who have seen each post; for administrators."""
    c = call.wall()
    if c is not call.own:
        raise VkError(15)
    post_ids = [one for one in call.params.get("post_ids").split(",") if one]
    if not post_ids or len(post_ids) > 30 or not all(one.strip().isdecimal() for one in post_ids):
        raise VkError(100, "post_ids is undefined or incorrect")
    figures: list[Json] = []
    for one in post_ids:
        entry = call.network.world.entry(c, int(one))
        if entry is None or entry.kind != "post":
            continue
        subscribers = entry.reach * 3 // 4
        figures.append({
            "post_id": entry.id, "hide": 0, "join_group": 0, "links": 0, "report": 0, "to_group": 0, "unsubscribe": 0,
            "reach_subscribers": subscribers, "reach_subscribers_count": subscribers, "reach_total": entry.reach,
            "reach_total_count": entry.reach, "reach_viral": entry.reach - subscribers, "reach_ads": 0, "sex_age": [],
        })  # fmt: skip
    return figures
