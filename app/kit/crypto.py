"""Encryption and signatures with the installation's secret keys."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from app.settings import DEVELOPMENT_KEY


class SealBroken(ValueError):
    """Sealed with a key this installation does not have, or tampered with."""


class Keyring:
    """The installation's secret keys, the current one first.

    Encrypts with the current key, decrypts with any of them. To rotate: put a new key in front, `reseal` what
    is stored, then remove the old one.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        raw = [key.get_secret_value() for key in keys]
        self._fernet = MultiFernet([Fernet(key) for key in raw])
        self._signing = [_derived(key, b"instep signing") for key in raw]
        self.fingerprints = tuple(_fingerprint(key) for key in raw)
        """Of each key, the current one first: it tells keys apart, and no key can be computed from it."""

    def seal(self, text: str) -> str:
        """Encrypt (Fernet); every call gives a different text."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Decrypt what `seal` returned; `SealBroken` where no key fits."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SealBroken("sealed with a key that INSTEP_SECRET_KEYS does not hold") from None

    def reseal(self, sealed: str) -> str:
        """The same secret, encrypted with the current key; `SealBroken` where no key fits."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken:
            raise SealBroken("sealed with a key that INSTEP_SECRET_KEYS does not hold") from None

    def sign(self, purpose: str, data: bytes) -> bytes:
        """A signature of `data` for this purpose (HMAC-SHA256, cut to 16 bytes) with the current key."""
        return self._mac(self._signing[0], purpose, data)

    def verify(self, purpose: str, data: bytes, signature: bytes) -> bool:
        """Whether this is the signature of `data` for this purpose, with any of the keys."""
        return any(hmac.compare_digest(self._mac(key, purpose, data), signature) for key in self._signing)

    @staticmethod
    def _mac(key: bytes, purpose: str, data: bytes) -> bytes:
        return hmac.digest(key, purpose.encode() + b"\0" + data, hashlib.sha256)[:16]


def _derived(key: str, purpose: bytes) -> bytes:
    """32 bytes derived from a key for one purpose."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(base64.urlsafe_b64decode(key))


def _fingerprint(key: str) -> str:
    return _derived(key, b"instep fingerprint")[:16].hex()


DEVELOPMENT_FINGERPRINT: Final = _fingerprint(DEVELOPMENT_KEY)
"""Of the key that everybody knows."""
