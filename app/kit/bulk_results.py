"""The answer of a bulk request: one shape for all of them.

`{"data": [{"index": 0, "<thing>": {…}, "problem": null}, …], "succeeded": 1, "failed": 0}`, in the order of the
request. With `?atomic=true` one item that fails refuses them all, and the refusal's `errors` name the items.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field, ValidationError

from app.kit.errors import AppError, Invalid
from app.kit.routing import FieldProblem
from app.kit.validation import field_errors

M = TypeVar("M", bound=BaseModel)

Atomic = Annotated[
    bool,
    Query(description="All or nothing: if one item fails, none is done, and the answer is 422 `bulk-refused`."),
]


class BulkProblem(BaseModel):
    """Why one item was not done."""

    code: str = Field(description="Stable, for programs, as of a problem.", examples=["not-found"])
    detail: str = Field(description="For people: what happened and what to do.", examples=["There is no such post."])
    errors: list[FieldProblem] = Field(description="What is wrong with which field of the item; may be empty.")

    @classmethod
    def of(cls, error: AppError) -> "BulkProblem":
        """The problem of an item that failed with this error."""
        fields = [FieldProblem.model_validate(field) for field in error.errors]
        return cls(code=error.code, detail=error.detail, errors=fields)


class BulkResult(BaseModel):
    """The result of one item. A subclass adds the thing itself, null where there is a problem."""

    index: int = Field(description="Its index in the request, from 0.", examples=[0])
    problem: BulkProblem | None = Field(description="Why it was not done; null where it was.")


class BulkResults(BaseModel):
    """The results of a bulk request. A subclass adds them as `data`, in the order of the request."""

    succeeded: int = Field(description="How many items were done.", examples=[1])
    failed: int = Field(description="How many were not; each has its problem.", examples=[0])


def parsed_item(model: type[M], item: Any) -> M | AppError:
    """An item of a request, validated; or what is wrong with it."""
    try:
        return model.model_validate(item)
    except ValidationError as error:
        errors = field_errors([{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)])
        return Invalid(f"{errors[0]['field'] or 'item'}: {errors[0]['detail']}", errors=errors)


def refusal(failed: Mapping[int, AppError], total: int) -> Invalid:
    """The error that refuses an atomic request because of these items, by index."""
    return Invalid(
        f"{len(failed)} of {total} items cannot be done, so none was.",
        code="bulk-refused",
        errors=[one for index, problem in sorted(failed.items()) for one in _errors(index, problem)],
    )


def _errors(index: int, error: AppError) -> list[dict[str, Any]]:
    """What is wrong with an item, by field; one error of the whole item where no field is named."""
    fields = error.errors or [{"in": "body", "field": None, "code": error.code, "detail": error.detail}]
    return [
        {**field, "field": ".".join(part for part in (f"items.{index}", field["field"]) if part)} for field in fields
    ]
