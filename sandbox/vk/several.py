"""`execute`: several methods in one call. Of VKScript only `return [API.method({…}), …];` is understood."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from sandbox.network import BadParameterError, Params
from sandbox.vk import errors
from sandbox.vk.call import Call
from sandbox.vk.errors import VkError

NAME: Final = "execute"
MAX_CALLS: Final = 25
_WHOLE: Final = re.compile(r"\s*return\s*\[(.*)\]\s*;?\s*", re.DOTALL)
_CALL: Final = re.compile(r"\s*API\.([A-Za-z]+\.[A-Za-z]+)\(")
_BETWEEN: Final = re.compile(r"\s*\)\s*(,|$)")


def execute(call: Call, dispatch: Callable[[str, Call], object]) -> dict[str, object]:
    """The response: `false` for a call that failed, with the errors apart, in the order of the calls."""
    calls = list(_calls(call.params.get("code")))
    if len(calls) > MAX_CALLS:
        raise VkError(13, "too many api calls")
    answers: list[object] = []
    failures: list[dict[str, object]] = []
    for name, params in calls:
        try:
            answers.append(dispatch(name, replace(call, params=params)))
        except (VkError, BadParameterError) as failed:
            answers.append(False)
            code = failed.code if isinstance(failed, VkError) else 100
            failures.append({"method": name, "error_code": code, "error_msg": errors.TEXTS.get(code, errors.TEXTS[1])})
    return {"response": answers} | ({"execute_errors": failures} if failures else {})


def _calls(code: str) -> Iterator[tuple[str, Params]]:
    whole = _WHOLE.fullmatch(code)
    if whole is None:
        raise VkError(12)
    text, at = whole[1], 0
    while at < len(text):
        head = _CALL.match(text, at)
        if head is None:
            raise VkError(12)
        try:
            arguments, end = json.JSONDecoder().raw_decode(text, head.end())
        except ValueError:
            raise VkError(12) from None
        tail = _BETWEEN.match(text, end)
        if tail is None or not isinstance(arguments, dict):
            raise VkError(12)
        yield head[1], Params([(str(name), str(value)) for name, value in arguments.items()])
        at = tail.end()
