"""The part of VK API 5.199 and its Callback API that a back office uses."""

from typing import Final

from starlette.responses import Response

from sandbox.entities import Activity, Profile
from sandbox.network import WireFormat, json_response
from sandbox.vk import errors, oauth, photos
from sandbox.vk.api import routes
from sandbox.vk.callbacks import HOOK
from sandbox.vk.deleted_comments import DeletedComments

_ACTIVITIES: Final[frozenset[Activity]] = frozenset({"message", "share", "view"})

PROFILES: Final = (
    Profile("velo_dvor", "vk", 4, "Велодвор: мастерская и прокат", "Чиним, собираем, катаемся.",
            "ru", "bikes", 2140, True, _ACTIVITIES, False, "220000004"),
    Profile("kofe_zerno", "vk", 5, "Кофейня «Зерно»", "Кофе, книги и место у окна.",
            "ru", "coffee", 1530, False, _ACTIVITIES, False, "220000005"),
    Profile("lingua_ru", "vk", 6, "Школа языков «Лингва»", "Шесть языков, малые группы.",
            "ru", "school", 920, False, _ACTIVITIES, False, "220000006"),
)  # fmt: skip


def _fault(code: int | str) -> Response:
    """VK's errors come with HTTP 200."""
    return json_response(errors.body(int(code)))


WIRE_FORMAT: Final = WireFormat(
    name="vk",
    profiles=PROFILES,
    tokens={
        "user": ("wall", "groups", "stats", "offline", "photos"),
        "community": ("manage", "messages", "wall", "photos"),
        "refresh": (),
    },
    token=oauth.token,
    prefixes=("/method/", photos.PATH, oauth.PATH),
    routes=routes,
    address=lambda _, c: f"https://vk.com/{c.key}",
    connection=oauth.connection,
    limits={"user_rps": 3, "community_rps": 20, "wall_get_day": 5000},
    fault=_fault,
    hook=HOOK,
    extra_state=DeletedComments,
)
