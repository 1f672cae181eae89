"""Hashes of passwords (Argon2id, RFC 9106), computed a few at a time in threads.

One computation takes about 19 MiB and tens of milliseconds of a core, so that guessing is dear. For the same
reason their number at once is bounded: a flood of sign-ins must not take the machine from everything else.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from app.kit.errors import Invalid, Unavailable

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
"""The second of the settings that OWASP's Password Storage Cheat Sheet recommends for Argon2id."""

AT_ONCE: Final = 2
"""Computations at the same time, in a process."""
WAITING: Final = 32
"""Sign-ins that may wait for a computation; more are told to come back."""

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 200

_HASHER: Final = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, type=Type.ID)
_THREADS: Final = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
_NOBODY: Final = _HASHER.hash("a password that nobody has")
"""Verified in place of the hash of an account that does not exist: the answer takes as long as for one that does."""

_COMMON: Final = frozenset({"password", "qwerty", "йцукен", "пароль", "letmein", "iloveyou", "welcome", "admin"})
_waiting = 0

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


async def hash_password(password: str) -> str:
    """The hash of a password; `Unavailable` while too many are being computed."""
    return await _computed(_HASHER.hash, _normal(password))


async def verify_password(password: str, stored: str | None) -> bool:
    """Whether this is the password of a stored hash. False for None, after the same time.

    Raises `Unavailable` while too many are being computed.
    """
    fits = await _computed(_fits, stored or _NOBODY, _normal(password))
    return fits and stored is not None


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters: it is replaced at the next sign-in."""
    return _HASHER.check_needs_rehash(stored)


def require_strong(password: str, *personal: str) -> None:
    """Raise `Invalid` (`weak-password`) for a password that is guessed first.

    That is: one that is short, has few different characters, is a common word with additions, or contains
    something `personal` (a name, an e-mail address).
    """
    text = _normal(password).casefold()
    letters = "".join(c for c in text if c.isalpha())
    reasons = []
    if len(text) < MIN_LENGTH:
        reasons.append(f"It needs {MIN_LENGTH} characters at least.")
    if len(set(text)) < 5:
        reasons.append("It has too few different characters.")
    if letters in _COMMON or text.isdigit():
        reasons.append("It is one of those that are tried first.")
    if any(len(part) >= 4 and part in text for each in personal for part in each.casefold().replace("@", " ").split()):
        reasons.append("It contains the name or the e-mail address.")
    if reasons:
        detail = " ".join(reasons)
        problem = {"in": "body", "field": "password", "code": "weak-password", "detail": detail}
        raise Invalid(f"Choose another password. {detail}", code="weak-password", errors=[problem])


def _fits(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    """The same text however a keyboard composes it (NIST SP 800-63B: normalise before hashing)."""
    return unicodedata.normalize("NFKC", password)


async def _computed(compute: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    global _waiting
    if _waiting >= AT_ONCE + WAITING:
        raise Unavailable("Too many people are signing in at the moment.", code="busy", retry_after=2)
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_THREADS, compute, *arguments)
    finally:
        _waiting -= 1
