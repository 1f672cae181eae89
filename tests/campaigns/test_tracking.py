"""Links of campaigns, their UTM parameters, and invite links."""

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.campaigns import utm
from app.kit.clock import SetClock
from tests.campaigns.conftest import campaign
from tests.conftest import Agency
from tests.kpis.conftest import Client
from tests.links.conftest import add_community

TARGET = "https://shop.example/autumn?utm_medium=story&a=1#beans"


async def link(agency: Agency, project_id: str, **fields: Any) -> Any:
    """A tracked link."""
    return await agency.post("/v1/links", {"project_id": project_id, "target": TARGET, **fields})


async def test_a_link_gets_the_parameters_that_it_lacks(
    agency: Agency, clock: SetClock, project_id: str, community_id: str, path: str
) -> None:
    made = await link(agency, project_id, community_id=community_id)
    clock.advance(timedelta(seconds=1))
    of_campaign = await agency.post(f"{path}/links", {"link_id": made["id"]}, status=200)
    assert of_campaign["target"] == (
        "https://shop.example/autumn?utm_medium=story&a=1&utm_source=mastodon&utm_campaign=autumn-beans#beans"
    )
    assert of_campaign["slug"] == made["slug"]
    followed = await agency.http.get(f"/r/{made['slug']}")
    assert followed.headers["location"] == of_campaign["target"]
    targets = (await agency.get(f"/v1/links/{made['id']}/targets"))["data"]
    assert [one["target"] for one in targets] == [of_campaign["target"], TARGET]
    # Once more changes nothing.
    assert await agency.post(f"{path}/links", {"link_id": made["id"]}, status=200) == of_campaign
    assert (await agency.get(f"{path}/links"))["data"] == [of_campaign]
    assert len((await agency.get(f"/v1/links/{made['id']}/targets"))["data"]) == 2
    await agency.http.delete(f"{path}/links/{made['id']}")
    assert (await agency.get(f"{path}/links"))["data"] == []
    assert (await agency.http.delete(f"{path}/links/{made['id']}")).status_code == 404
    assert (await agency.get(f"/v1/links/{made['id']}"))["target"] == of_campaign["target"]


async def test_parameters_can_be_left_out(agency: Agency, project_id: str, path: str) -> None:
    made = await link(agency, project_id)
    assert (await agency.post(f"{path}/links", {"link_id": made["id"], "utm": False}, status=200))["target"] == TARGET


async def test_a_link_belongs_to_one_campaign_of_its_project(agency: Agency, project_id: str, path: str) -> None:
    made = await link(agency, project_id)
    await agency.post(f"{path}/links", {"link_id": made["id"]}, status=200)
    other = f"/v1/campaigns/{(await campaign(agency, project_id))['id']}"
    assert (await agency.post(f"{other}/links", {"link_id": made["id"]}, status=409))["code"] == "link-taken"
    elsewhere = (await agency.post("/v1/projects", {"title": "Other", "timezone": "Europe/Minsk"}))["id"]
    foreign = await link(agency, elsewhere)
    refused = await agency.post(f"{path}/links", {"link_id": foreign["id"]}, status=422)
    assert refused["code"] == "link-of-another-project"
    await agency.post(f"{path}/links", {"link_id": str(uuid.uuid4())}, status=404)
    assert (await agency.get(f"/v1/links/{foreign['id']}"))["target"] == TARGET
    await agency.http.delete(f"{path}/links/{made['id']}")
    await agency.post(f"{other}/links", {"link_id": made["id"]}, status=200)


async def test_a_project_has_a_template_of_its_own(agency: Agency, rival: Agency, project_id: str, path: str) -> None:
    there = f"/v1/projects/{project_id}/utm-template"
    assert await agency.get(there) == {"project_id": project_id, "template": utm.DEFAULT, "is_default": True}
    for template in (
        "",
        "a=1",
        "utm_source",
        "utm_source={community}",
        "utm_source={platform",
        "utm_source=a b",
        "utm_source=a&utm_source=b",
        "utm_source=a#b",
    ):
        await agency.put(there, {"template": template}, status=422)
    own = "utm_source={platform}&utm_content={type}-{link}"
    assert (await agency.put(there, {"template": own}))["template"] == own
    assert await agency.get(there) == {"project_id": project_id, "template": own, "is_default": False}
    made = await link(agency, project_id, target="https://shop.example/")
    target = (await agency.post(f"{path}/links", {"link_id": made["id"]}, status=200))["target"]
    assert target == f"https://shop.example/?utm_source=link&utm_content=ad-{made['slug']}"
    await rival.get(there, status=404)
    await rival.put(there, {"template": own}, status=404)


TEXT = st.text("aЖ &=%#?+/{}1", max_size=6)


@given(
    query=st.lists(
        st.tuples(st.sampled_from(["utm_source", "UTM_Medium", "utm_campaign", "a", "b"]), TEXT), max_size=6
    ),
    slug=TEXT.filter(bool),
)
def test_what_a_target_has_stays(query: list[tuple[str, str]], slug: str) -> None:
    target = f"https://shop.example/x?{urlencode(query)}#part"
    values = {"platform": "vk", "campaign": slug, "type": "ad", "link": "s"}
    made = utm.with_parameters(target, utm.DEFAULT, values)
    before = parse_qsl(urlsplit(target).query, keep_blank_values=True)
    after = parse_qsl(urlsplit(made).query, keep_blank_values=True)
    assert after[: len(before)] == before
    names = [name.lower() for name, _ in after]
    assert {"utm_source", "utm_medium", "utm_campaign"} <= set(names)
    added = dict(after[len(before) :])
    assert set(added) == {"utm_source", "utm_medium", "utm_campaign"} - {name.lower() for name, _ in before}
    assert added.get("utm_campaign", slug) == slug
    assert utm.with_parameters(made, utm.DEFAULT, values) == made
    assert urlsplit(made).fragment == "part"


@pytest.mark.parametrize(
    ("target", "template", "expected"),
    [
        (
            "https://a.example/",
            "utm_term=red+beans&utm_content=a%20b",
            "https://a.example/?utm_term=red+beans&utm_content=a%20b",
        ),
        ("https://a.example/", "utm_term=кофе", "https://a.example/?utm_term=%D0%BA%D0%BE%D1%84%D0%B5"),
        ("https://a.example/?a=1&", "utm_term=x", "https://a.example/?a=1&utm_term=x"),
        (
            "https://a.example/?UTM_Source=x#top",
            "utm_source={platform}&utm_campaign={campaign}",
            "https://a.example/?UTM_Source=x&utm_campaign=%D0%BE%D1%81%D0%B5%D0%BD%D1%8C%26%2B#top",
        ),
        ("https://a.example/?utm_source=", "utm_source={platform}", "https://a.example/?utm_source="),
        (
            "https://a.example/#/menu?utm_source=x",
            "utm_source={platform}",
            "https://a.example/?utm_source=vk#/menu?utm_source=x",
        ),
    ],
)
def test_what_stands_in_a_template_is_text_of_a_query(target: str, template: str, expected: str) -> None:
    """What is written encoded is not encoded once more; what is put in is."""
    values = {"platform": "vk", "campaign": "осень&+", "type": "ad", "link": "abc"}
    assert utm.with_parameters(target, utm.check(template), values) == expected


@pytest.mark.parametrize(
    ("title", "slug"), [("Autumn: beans!", "autumn-beans"), ("Осень — 2026", "осень-2026"), ("!!!", "campaign")]
)
def test_a_slug_is_made_of_the_title(title: str, slug: str) -> None:
    assert utm.slug_of(title) == slug


async def test_an_invite_link_belongs_to_one_campaign(agency: Agency, project_id: str, path: str) -> None:
    client = Client(agency, project_id, ZoneInfo("Europe/Minsk"))
    channel = str((await client.connect("telegram")).community_id)
    body = {"community_id": channel, "address": "https://t.me/+AbCdEfGhIjKlMnOp"}
    made = await agency.post(f"{path}/invite-links", body)
    assert (await agency.post(f"{path}/invite-links", body, status=409))["code"] == "invite-link-taken"
    assert (await agency.get(f"{path}/invite-links"))["data"] == [made]
    assert (await agency.http.delete(f"{path}/invite-links/{made['id']}")).status_code == 204
    assert (await agency.http.delete(f"{path}/invite-links/{made['id']}")).status_code == 404
    await agency.post(f"{path}/invite-links", body)
    masto = await add_community(agency, project_id)
    refused = await agency.post(f"{path}/invite-links", {**body, "community_id": masto}, status=422)
    assert refused["code"] == "joins-not-attributed"
    only = await campaign(agency, project_id, community_ids=[masto])
    refused = await agency.post(f"/v1/campaigns/{only['id']}/invite-links", body, status=422)
    assert refused["code"] == "community-of-another-campaign"
