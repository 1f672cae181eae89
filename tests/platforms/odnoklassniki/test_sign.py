"""The signature of requests to Odnoklassniki, by properties."""

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.platforms.odnoklassniki.sign import secret_of, sign
from sandbox.odnoklassniki import call as sandbox_call

names = st.text(st.characters(codec="ascii", categories=("Ll", "Lu", "Nd"), include_characters="_"), min_size=1)
forms = st.dictionaries(names.filter(lambda name: name not in {"access_token", "session_key", "sig"}), st.text())


def test_the_signature_is_as_documented() -> None:
    """`k=v` sorted by name without separators, then MD5(token + secret), all of it MD5 in lower case."""
    secret = hashlib.md5(b"tokenSECRET").hexdigest()
    line = f"application_key=KEYfields=uidformat=jsonmethod=users.getCurrentUser{secret}"
    form = {"method": "users.getCurrentUser", "format": "json", "fields": "uid", "application_key": "KEY"}
    assert secret_of("token", "SECRET") == secret
    assert sign(form, secret) == hashlib.md5(line.encode()).hexdigest()


@given(forms, st.text(), st.randoms())
def test_the_order_of_parameters_is_no_part_of_the_signature(form: dict[str, str], secret: str, random: Any) -> None:
    shuffled = list(form.items())
    random.shuffle(shuffled)
    assert sign(dict(shuffled), secret) == sign(form, secret)


@given(forms, st.text(), st.text())
def test_session_parameters_are_not_signed(form: dict[str, str], secret: str, session: str) -> None:
    carried = {**form, "access_token": session, "session_key": session, "sig": session}
    assert sign(carried, secret) == sign(form, secret)


@given(forms.filter(bool), st.text(), st.data())
def test_every_other_parameter_is_signed(form: dict[str, str], secret: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(form)))
    assert sign({**form, name: form[name] + "x"}, secret) != sign(form, secret)
    assert sign(form, secret + "x") != sign(form, secret)


@given(forms, st.text())
def test_the_sandbox_computes_the_same_signature(form: dict[str, str], secret: str) -> None:
    assert sign(form, secret) == sandbox_call.signature(form.items(), secret)
