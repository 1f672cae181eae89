"""The second factor: time-based codes (TOTP, RFC 6238), and recovery codes for when the device is lost."""

import secrets
from datetime import datetime
from typing import Final

import pyotp
import segno
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import record
from app.access.models import UserAccount
from app.access.tokens import hashed
from app.kit.actors import Actor
from app.kit.crypto import Keyring, SealBroken
from app.kit.db import now
from app.kit.errors import Conflict, Invalid

RECOVERY_CODES: Final = 10
STEP: Final = 30
"""Seconds for which a code is shown."""
TOLERANCE: Final = 1
"""Steps before and after the present one whose codes are accepted: clocks differ."""

_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without characters that are mistaken for others."""


def is_on(user: UserAccount) -> bool:
    """Whether a sign-in of this user needs a code."""
    return user.totp_confirmed_at is not None


def begin(session: AsyncSession, actor: Actor, keyring: Keyring, *, user: UserAccount) -> tuple[str, str]:
    """Give the user a secret, which counts once a first code has been confirmed.

    Returns the `otpauth` address that an authenticator app takes, and the same as an SVG image of a QR code.
    Raises `Conflict` (`second-factor-on`) where the user has one: it is turned off first, with a code.
    """
    if is_on(user):
        raise Conflict("A second factor is on already: turn it off first.", code="second-factor-on")
    secret = pyotp.random_base32(32)
    user.totp_secret, user.totp_last_step = keyring.seal(secret), None
    record(session, actor, "second-factor.begin", user_id=user.id, account_id=user.id)
    uri = pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=user.email, issuer_name="Instep")
    return uri, segno.make(uri, micro=False).svg_inline(scale=4)


def confirm(session: AsyncSession, actor: Actor, keyring: Keyring, *, user: UserAccount, code: str) -> list[str]:
    """Turn the second factor on with a first code; returns the recovery codes, which are not stored.

    Raises `Conflict` (`no-second-factor`, `second-factor-on`) and `Invalid` (`wrong-code`).
    """
    if user.totp_secret is None:
        raise Conflict("There is no second factor to confirm: begin with one.", code="no-second-factor")
    if is_on(user):
        raise Conflict("The second factor is on already.", code="second-factor-on")
    if not _accepts(keyring, user, code, now(session)):
        raise wrong_code()
    codes = ["-".join(_random(5) for _ in range(2)) for _ in range(RECOVERY_CODES)]
    user.totp_confirmed_at = now(session)
    user.recovery_codes = [hashed(each).hex() for each in codes]
    record(
        session,
        actor,
        "second-factor.confirm",
        user_id=user.id,
        account_id=user.id,
        before={"on": False},
        after={"on": True},
    )
    return codes


def turn_off(session: AsyncSession, actor: Actor, keyring: Keyring, *, user: UserAccount, code: str) -> None:
    """Turn the second factor off with a code or a recovery code; `Invalid` (`wrong-code`) with another."""
    if not is_on(user):
        return
    if not accept(keyring, user, code, now(session)):
        raise wrong_code()
    user.totp_secret, user.totp_confirmed_at, user.totp_last_step, user.recovery_codes = None, None, None, []
    record(
        session,
        actor,
        "second-factor.turn-off",
        user_id=user.id,
        account_id=user.id,
        before={"on": True},
        after={"on": False},
    )


def accept(keyring: Keyring, user: UserAccount, code: str, at: datetime) -> bool:
    """Whether this is a code of the moment or an unused recovery code; it is used by that, so that it fits once.

    The user's row must be locked.
    """
    if _accepts(keyring, user, code, at):
        return True
    digest = hashed(code.strip().lower()).hex()
    if digest not in user.recovery_codes:
        return False
    user.recovery_codes = [each for each in user.recovery_codes if each != digest]
    return True


async def reseal(session: AsyncSession, actor: Actor, keyring: Keyring) -> int:
    """Seal the secrets of all accounts under the current key; how many no key opens, which are left as they are."""
    accounts = await session.scalars(
        select(UserAccount).where(UserAccount.totp_secret.is_not(None)).order_by(UserAccount.id).with_for_update()
    )
    resealed = lost = 0
    for account in accounts:
        try:
            account.totp_secret = keyring.reseal(account.totp_secret or "")
        except SealBroken:
            lost += 1
        else:
            resealed += 1
    record(session, actor, "tokens.reseal", second_factors=resealed)
    return lost


def wrong_code() -> Invalid:
    """The error for a code that does not fit."""
    detail = "This code is not right, or was used already: wait for the next one."
    problem = {"in": "body", "field": "code", "code": "wrong-code", "detail": detail}
    return Invalid(detail, code="wrong-code", errors=[problem])


def _accepts(keyring: Keyring, user: UserAccount, code: str, at: datetime) -> bool:
    if user.totp_secret is None:
        return False
    totp, code = pyotp.TOTP(keyring.open(user.totp_secret), interval=STEP), code.replace(" ", "")
    present = int(at.timestamp()) // STEP
    for step in range(present - TOLERANCE, present + TOLERANCE + 1):
        if pyotp.utils.strings_equal(totp.generate_otp(step), code) and step > (user.totp_last_step or 0):
            user.totp_last_step = step
            return True
    return False


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
