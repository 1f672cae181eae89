"""Keys derived from the installation's secrets, and what is sealed or signed with them."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr


class SealBroken(ValueError):
    """Sealed with a key this installation does not have, or tampered with."""


class Keyring:
    """The installation's secrets, the current one first.

    Sealing uses the current key, opening tries all: put a new key in front, `reseal` what is
    stored, then drop the old one.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        raw = [key.get_secret_value() for key in keys]
        self._fernet = MultiFernet([Fernet(key) for key in raw])
        self._signing = [
            HKDF(algorithm=SHA256(), length=32, salt=None, info=b"instep signing").derive(base64.urlsafe_b64decode(key))
            for key in raw
        ]

    def seal(self, text: str) -> str:
        """Encrypt; every call gives another text."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Decrypt what `seal` made; `SealBroken` where no key fits."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SealBroken("sealed with a key that INSTEP_SECRET_KEYS does not hold") from None

    def reseal(self, sealed: str) -> str:
        """The same secret under the current key."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken:
            raise SealBroken("sealed with a key that INSTEP_SECRET_KEYS does not hold") from None

    def sign(self, purpose: str, data: bytes) -> bytes:
        """16 bytes that only this installation can make of `data`."""
        return self._mac(self._signing[0], purpose, data)

    def verify(self, purpose: str, data: bytes, signature: bytes) -> bool:
        """Whether `sign` made this signature, with any of the keys."""
        return any(hmac.compare_digest(self._mac(key, purpose, data), signature) for key in self._signing)

    @staticmethod
    def _mac(key: bytes, purpose: str, data: bytes) -> bytes:
        return hmac.digest(key, purpose.encode() + b"\0" + data, hashlib.sha256)[:16]
