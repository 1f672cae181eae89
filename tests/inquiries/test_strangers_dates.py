"""An inquiry is received when the platform or Instep had it, whatever date another server wrote into a message."""

from datetime import UTC, datetime, timedelta

import pytest

from app.communities.models import Publication
from app.kit.clock import SetClock
from app.kit.ids import uuid7
from tests.inquiries.conftest import InquirySetup, Post

NOON = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
"""Now, by the clock of the tests."""
HOUR = timedelta(hours=1)
PUBLISHED = NOON - 5 * HOUR


@pytest.fixture
async def publication(setup: InquirySetup, post: Post) -> Publication:
    """A post of the community, five hours old."""
    made = Publication(
        workspace_id=setup.ref.workspace_id, id=uuid7(), community_id=setup.ref.community_id,
        project_id=setup.ref.project_id, external_id="post-1", url="https://platform.example/1", text="Open",
        published_at=PUBLISHED,
    )  # fmt: skip
    async with setup.agency.resources.transaction(setup.ref.workspace_id) as session:
        session.add(made)
    return made


@pytest.mark.parametrize(
    ("claimed", "received"),
    [
        (datetime(2015, 1, 1, tzinfo=UTC), PUBLISHED),
        (datetime(2031, 1, 1, tzinfo=UTC), NOON),
        (NOON - HOUR, NOON - HOUR),
    ],
)
async def test_a_claimed_date_is_kept_between_the_post_and_now(
    setup: InquirySetup, publication: Publication, claimed: datetime, received: datetime
) -> None:
    message = setup.message("1", claimed, dated_by_author=True)
    await setup.store_messages(message, publication_id=publication.id)
    assert [one.sent_at for one in await setup.stored()] == [received]
    assert datetime.fromisoformat((await setup.only())["opened_at"]) == received


async def test_a_claimed_date_does_not_precede_what_it_replies_to(setup: InquirySetup) -> None:
    years_ago = datetime(2015, 1, 1, tzinfo=UTC)
    await setup.store_messages(
        setup.message("1", NOON - HOUR),
        setup.message("2", years_ago, in_reply_to="1", dated_by_author=True),
        setup.message("3", years_ago, in_reply_to="2", dated_by_author=True),
    )
    assert {one.external_id: one.sent_at for one in await setup.stored()} == dict.fromkeys("123", NOON - HOUR)


async def test_the_platforms_own_date_replaces_a_claim_and_not_the_other_way_round(
    setup: InquirySetup, clock: SetClock
) -> None:
    claim = setup.message("1", datetime(2031, 1, 1, tzinfo=UTC), dated_by_author=True)
    await setup.store_messages(claim)
    clock.advance(HOUR)
    await setup.store_messages(claim)
    assert [one.sent_at for one in await setup.stored()] == [NOON], "it was first seen then"
    await setup.store_messages(setup.message("1", NOON - HOUR))
    await setup.store_messages(claim)
    assert [one.sent_at for one in await setup.stored()] == [NOON - HOUR]
