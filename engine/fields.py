"""What every setting shares: its label, unit, range and help, and the sentence for a fault."""

import math
from typing import Any, Self, get_args

import annotated_types
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import SpecError


def about(label: str, unit: str = "", **choices: str) -> dict[str, Any]:
    """Returns what a field says of itself beside its description, as `json_schema_extra`.

    Args:
        label: what a person reads.
        unit: of its values.
        **choices: each allowed text with what it means.
    """
    return {"label": label, "unit": unit, "choices": choices}


class Part(BaseModel):
    """A part of a RunSpec: immutable, strict about unknown fields, without NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: dict[str, Any] | str) -> Self:
        """Returns what a dictionary or JSON text describes, with all faults reported at once.

        Raises:
            SpecError: with every fault, each naming the field, its value and its range.
        """
        try:
            if isinstance(values, str):
                return cls.model_validate_json(values)
            return cls.model_validate(values)
        except ValidationError as error:
            raise SpecError(" ".join(_sentence(cls, fault) for fault in error.errors())) from error


def field_info(path: str, model: type[BaseModel]) -> Any:
    """Returns pydantic's FieldInfo of the field at a dotted path, such as `optimiser.lr`.

    Raises:
        KeyError: there is no such field.
    """
    first, _, rest = path.partition(".")
    info = model.model_fields[first]
    if not rest:
        return info
    if not (isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)):
        raise KeyError(path)
    return field_info(rest, info.annotation)


def field_range(path: str, model: type[BaseModel]) -> tuple[float, float]:
    """Returns the least and the greatest allowed value of a numeric field."""
    low, high = -math.inf, math.inf
    for rule in field_info(path, model).metadata:
        if isinstance(rule, annotated_types.Ge):
            low = rule.ge  # type: ignore[assignment]
        elif isinstance(rule, annotated_types.Gt):
            low = rule.gt  # type: ignore[assignment]
        elif isinstance(rule, annotated_types.Le):
            high = rule.le  # type: ignore[assignment]
        elif isinstance(rule, annotated_types.Lt):
            high = rule.lt  # type: ignore[assignment]
    return low, high


def _allowed(model: type[BaseModel], path: str) -> str | None:
    info = field_info(path, model)
    choices = get_args(info.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return "must be one of " + ", ".join(choices)
    low, high = field_range(path, model)
    if math.isinf(low) and math.isinf(high):
        return None
    kind = "whole number" if info.annotation is int else "number"
    rules = info.metadata
    above = "above " if any(isinstance(rule, annotated_types.Gt) for rule in rules) else "from "
    below = "below " if any(isinstance(rule, annotated_types.Lt) for rule in rules) else ""
    return f"must be a {kind} {above}{low:g} to {below}{high:g}"


def _sentence(model: type[BaseModel], fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{path} is missing."
    if fault["type"] == "extra_forbidden":
        return f"{path} is not a setting that Thaw knows."
    if fault["type"] == "json_invalid":
        return f"The spec is not valid JSON: {fault['ctx']['error']}."
    if fault["type"] == "value_error" and not isinstance(fault["input"], str | int | float):
        # A rule over several settings says which.
        return str(fault["ctx"]["error"])
    if fault["type"] == "value_error":
        return f"{path} is {fault['input']!r}; it {fault['ctx']['error']}."
    try:
        allowed = _allowed(model, path)
    except KeyError:
        allowed = None
    if allowed is None:
        return f"{path or 'The spec'} is {fault['input']!r}: {fault['msg'].lower()}."
    return f"{path} is {fault['input']!r}; it {allowed}."
