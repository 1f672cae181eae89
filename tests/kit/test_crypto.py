"""What is sealed opens with the right keys only; what is signed cannot be made up."""

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.kit.crypto import Keyring, SealBroken

OLD, NEW, OTHER = (SecretStr(Fernet.generate_key().decode()) for _ in range(3))


@given(st.text())
def test_what_is_sealed_opens_again_and_is_not_to_be_read(text: str) -> None:
    ring = Keyring([OLD])
    sealed = ring.seal(text)
    assert ring.open(sealed) == text
    assert len(text) < 8 or text not in sealed


def test_a_new_key_in_front_opens_what_the_old_one_sealed() -> None:
    sealed = Keyring([OLD]).seal("token")
    both = Keyring([NEW, OLD])
    assert both.open(sealed) == "token"
    with pytest.raises(SealBroken):
        Keyring([NEW]).open(sealed)
    assert Keyring([NEW]).open(both.reseal(sealed)) == "token", "resealed, the old key may go"


def test_a_strangers_key_opens_nothing_and_the_error_tells_nothing() -> None:
    sealed = Keyring([OLD]).seal("very-secret")
    for broken in (sealed[:-2], "nonsense", sealed.swapcase()):
        with pytest.raises(SealBroken) as refused:
            Keyring([OTHER]).open(broken)
        assert "very-secret" not in repr(refused.value)
        assert refused.value.__cause__ is None


@given(st.binary(), st.binary())
def test_a_signature_is_of_its_data_and_purpose(data: bytes, other: bytes) -> None:
    ring = Keyring([OLD])
    signature = ring.sign("cursor", data)
    assert ring.verify("cursor", data, signature)
    assert not ring.verify("click", data, signature)
    assert other == data or not ring.verify("cursor", other, signature)
    assert Keyring([NEW, OLD]).verify("cursor", data, signature)
    assert not Keyring([NEW]).verify("cursor", data, signature)
