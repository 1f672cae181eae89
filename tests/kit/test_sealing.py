"""A process that lacks a key that has sealed something does not start."""

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from app.kit import sealing
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.settings import DEVELOPMENT_KEY
from tests.servers import Servers


def keyring(*keys: str) -> Keyring:
    return Keyring([SecretStr(key) for key in keys])


async def test_every_key_that_has_sealed_is_required_until_all_is_sealed_anew(servers: Servers) -> None:
    db = Database(servers.app_url(servers.clone()), pool=1)
    old, new, other = (Fernet.generate_key().decode() for _ in range(3))
    try:
        await sealing.require_keys(db, keyring(DEVELOPMENT_KEY))
        with pytest.raises(sealing.KeyMissing, match="the development key"):
            await sealing.require_keys(db, keyring(old))
        await sealing.require_keys(db, keyring(old, DEVELOPMENT_KEY))
        await sealing.require_keys(db, keyring(old, DEVELOPMENT_KEY))
        async with db.transaction(None) as session:
            await sealing.forget_others(session, keyring(old))
        await sealing.require_keys(db, keyring(old))
        for _ in range(2):  # a refused start leaves nothing behind
            with pytest.raises(sealing.KeyMissing, match=keyring(old).fingerprints[0][:8]):
                await sealing.require_keys(db, keyring(new))
        await sealing.require_keys(db, keyring(new, old))
        with pytest.raises(sealing.KeyMissing):
            await sealing.require_keys(db, keyring(old))
        with pytest.raises(sealing.KeyMissing):
            await sealing.require_keys(db, keyring(new, other))
    finally:
        await db.close()


def test_a_fingerprint_is_of_one_key_and_not_the_key() -> None:
    one, other = (Fernet.generate_key().decode() for _ in range(2))
    assert keyring(one, other).fingerprints == (*keyring(one).fingerprints, *keyring(other).fingerprints)
    assert keyring(one).fingerprints != keyring(other).fingerprints
    assert one[:8] not in keyring(one).fingerprints[0]
