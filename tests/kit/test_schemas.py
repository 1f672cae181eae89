"""A merge patch: nothing is required, nothing has a default, and what was left out is not in its changes."""

import pytest
from pydantic import Field, ValidationError
from pydantic_core import PydanticSerializationError

from app.kit.schemas import UNCHANGED, Flag, Input, Patch, ShortText


class Inner(Patch):
    """A nested patch."""

    size: int
    note: ShortText | None


class Outer(Patch):
    """A patch with a nested one."""

    title: ShortText | None = Field(description="Null removes it.", examples=["A"])
    archived: Flag
    inner: Inner


class More(Outer):
    """A patch that inherits from another."""

    rank: int


def test_what_is_left_out_is_no_change() -> None:
    assert Outer.model_validate({}).changes() == {}
    assert Outer.model_validate({"title": None}).changes() == {"title": None}
    assert Outer.model_validate({"inner": {"note": None}}).changes() == {"inner": {"note": None}}
    assert More.model_validate({"rank": 1, "archived": False}).changes() == {"rank": 1, "archived": False}


def test_what_is_left_out_cannot_be_taken_for_a_value() -> None:
    left_out = Outer.model_validate({"title": "A"})
    assert left_out.archived is UNCHANGED
    with pytest.raises(PydanticSerializationError):
        left_out.model_dump_json()


def test_the_schema_has_no_default_and_requires_nothing() -> None:
    for shape in (Outer, More):
        schema = shape.model_json_schema()
        for part in (schema, schema["$defs"]["Inner"]):
            assert "required" not in part
            assert all("default" not in one for one in part["properties"].values())
        assert schema["properties"]["title"]["description"] == "Null removes it."


@pytest.mark.parametrize("body", [{"archived": None}, {"inner": None}, {"inner": {"size": None}}, {"other": 1}])
def test_null_and_unknown_fields_are_refused(body: object) -> None:
    with pytest.raises(ValidationError):
        Outer.model_validate(body)


def test_a_default_in_a_patch_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Bad\.archived has a default"):

        class Bad(Patch):
            archived: Flag = False

    with pytest.raises(TypeError, match=r"Worse\.names has a default"):

        class Worse(Outer):
            names: list[str] = Field(default_factory=list)


def test_other_bodies_keep_their_defaults() -> None:
    class Create(Input):
        archived: Flag = False

    assert Create.model_json_schema()["properties"]["archived"]["default"] is False
