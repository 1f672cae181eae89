"""The part of Telegram's Bot API 10.1 that a back office uses.

Two channels with a discussion group and a bot each. Unlike Telegram it accepts webhooks over plain http,
bots write to the group only as replies, update ids have gaps, and nothing is edited.
"""

from typing import Final

from sandbox.entities import Activity, Profile
from sandbox.network import WireFormat
from sandbox.telegram import wire_models
from sandbox.telegram.api import RIGHTS, routes
from sandbox.telegram.call import fault, token_of
from sandbox.telegram.updates import HOOK, Updates

_ACTIVITIES: Final[frozenset[Activity]] = frozenset({"message"})

PROFILES: Final = (
    Profile("coffee_daily", "telegram", 7, "Coffee Daily", "What is in the cup today.",
            "en", "coffee", 1750, True, _ACTIVITIES, False, "-1001000000007"),
    Profile("velo_gorod", "telegram", 8, "Велогород", "Город на двух колёсах.",
            "ru", "bikes", 640, False, _ACTIVITIES, False, "-1001000000008"),
)  # fmt: skip

WIRE_FORMAT: Final = WireFormat(
    name="telegram",
    profiles=PROFILES,
    tokens={"community": RIGHTS},
    token=lambda profile, kind, digest: f"{wire_models.bot_id(profile)}:AA{digest[:33]}",
    prefixes=("/bot",),
    routes=routes,
    address=lambda _, c: f"https://t.me/{c.key}",
    connection=lambda _, c: {"bot": wire_models.bot_id(c.profile), "discussion_group": wire_models.group_id(c)},
    limits={"bot_rps": 30, "chat_rps": 1, "group_rpm": 20},
    token_of=token_of,
    fault=fault,
    hook=HOOK,
    extra_state=Updates,
)
