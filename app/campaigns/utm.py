"""UTM parameters of a campaign's links, from a template of the project.

A template is the text of a query string with placeholders in its values:

`{platform}`   the key of the platform of the link's community; `link` where it belongs to no single one
`{campaign}`   the campaign's `slug`
`{type}`       the campaign's type: `ad`, `giveaway`, `discount`, `promo_code`
`{link}`       the link's own slug

Parameters that the target has already are kept as they are: a person wrote them.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

DEFAULT: Final = "utm_source={platform}&utm_medium=social&utm_campaign={campaign}"
NO_PLATFORM: Final = "link"
PLACEHOLDERS: Final = ("platform", "campaign", "type", "link")
MAX_LENGTH: Final = 500

_PART: Final = re.compile(r"(utm_[a-z0-9_]{1,32})=([^=&#\s]{1,200})")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_WRITTEN_AS_IS: Final = "%+!$'()*,;:@/?"
_NO_LETTERS: Final = re.compile(r"[\W_]+")


def check(template: str) -> str:
    """The template; raises `ValueError`, worded for people, where it is none."""
    names = []
    for part in template.split("&"):
        matched = _PART.fullmatch(part)
        if matched is None:
            raise ValueError("must be written like utm_source={platform}&utm_campaign={campaign}")
        names.append(matched[1])
        rest = _PLACEHOLDER.sub("", matched[2])
        unknown = [name for name in _PLACEHOLDER.findall(matched[2]) if name not in PLACEHOLDERS]
        if unknown or "{" in rest or "}" in rest:
            raise ValueError(f"has a placeholder that there is not; there are {', '.join(PLACEHOLDERS)}")
    if len(set(names)) < len(names):
        raise ValueError("names a parameter twice")
    return template


def with_parameters(target: str, template: str, values: Mapping[str, str]) -> str:
    """The target with the template's parameters that it does not have yet."""
    parts = urlsplit(target)
    present = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    added = []
    for part in template.split("&"):
        name, _, value = part.partition("=")
        if name not in present:
            # What stands in the template is text of a query already, so `%` and `+` have their meaning.
            written = quote(value, safe="{}" + _WRITTEN_AS_IS)
            filled = _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), written)
            added.append(f"{name}={filled}")
    if not added:
        return target
    query = "&".join(filter(None, (parts.query.rstrip("&"), *added)))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))


def slug_of(title: str) -> str:
    """A slug of a title: its letters and digits in lower case, all else as single hyphens."""
    return _NO_LETTERS.sub("-", title.casefold()).strip("-")[:64].strip("-") or "campaign"
