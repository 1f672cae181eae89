"""Sealed texts open with the right keys only; signatures cannot be forged."""

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.kit.crypto import Keyring, SealBroken

OLD, NEW, OTHER = (SecretStr(Fernet.generate_key().decode()) for _ in range(3))


@given(st.text())
def test_a_sealed_text_opens_and_is_unreadable(text: str) -> None:
    ring = Keyring([OLD])
    sealed = ring.seal(text)
    assert ring.open(sealed) == text
    assert len(text) < 8 or text not in sealed


def test_after_a_rotation_old_keys_still_open_their_texts() -> None:
    sealed = Keyring([OLD]).seal("token")
    both = Keyring([NEW, OLD])
    assert both.open(sealed) == "token"
    with pytest.raises(SealBroken):
        Keyring([NEW]).open(sealed)
    assert Keyring([NEW]).open(both.reseal(sealed)) == "token", "resealed, the old key may go"


def test_another_key_opens_nothing_and_the_error_shows_nothing() -> None:
    sealed = Keyring([OLD]).seal("very-secret")
    for broken in (sealed[:-2], "nonsense", sealed.swapcase()):
        with pytest.raises(SealBroken) as refused:
            Keyring([OTHER]).open(broken)
        assert "very-secret" not in repr(refused.value)
        assert refused.value.__cause__ is None


@given(st.binary(), st.binary())
def test_a_signature_is_bound_to_data_and_purpose(data: bytes, other: bytes) -> None:
    ring = Keyring([OLD])
    signature = ring.sign("cursor", data)
    assert ring.verify("cursor", data, signature)
    assert not ring.verify("click", data, signature)
    assert other == data or not ring.verify("cursor", other, signature)
    assert Keyring([NEW, OLD]).verify("cursor", data, signature)
    assert not Keyring([NEW]).verify("cursor", data, signature)
