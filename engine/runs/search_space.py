"""What a search goes over: settings, each with its choices or its range. No torch, no Optuna."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from engine.errors import SpecError
from engine.fields import Part, about
from engine.spec import DataSpec, RunSpec, field_info
from engine.strategies import STRATEGIES

Value = bool | int | float | str
SamplerName = Literal["tpe", "random", "grid"]

MAX_TRIALS = 1000
# From this factor between its ends on, a range that is not told otherwise is searched by magnitude.
LOG_FROM_FACTOR = 10.0
NOT_SEARCHED = {
    "data": "accuracies on other images or another split cannot be compared",
    "seed": "the luckiest seed is no better a setting",
    "device": "it is no setting of the model",
    "steering": "it is a record of what was done to one run",
    "update": "it says what is updated and how, which the base of a search settles",
}


class Range(Part):
    """A range of numbers, both ends included."""

    low: float = Field(description="Least value.", json_schema_extra=about("Least value"))
    high: float = Field(description="Greatest value.", json_schema_extra=about("Greatest value"))
    log: bool = Field(
        False,
        description="Search by magnitude, so that 0.001 to 0.01 is as wide as 0.01 to 0.1.",
        json_schema_extra=about("Logarithmic"),
    )
    points: Annotated[int, Field(ge=2, le=100)] = Field(
        4,
        description="Values that a grid takes from the range, its ends among them.",
        json_schema_extra=about("Points of a grid"),
    )

    def grid(self, whole: bool) -> tuple[Value, ...]:
        """Returns the values that a grid goes over, evenly spaced; `whole` rounds to integers."""
        shares = [index / (self.points - 1) for index in range(self.points)]
        if self.log:
            values = [self.low * (self.high / self.low) ** share for share in shares]
        else:
            values = [self.low + (self.high - self.low) * share for share in shares]
        if whole:
            return tuple(dict.fromkeys(round(value) for value in values))
        return tuple(_three_digits(self, value) for value in values)


Axis = Range | tuple[Value, ...]


class SearchSpec(Part):
    """A search: what every trial shares, what differs between them, and how it is chosen."""

    base: RunSpec = Field(
        description="Settings of every trial, but for those that are searched.",
        json_schema_extra=about("Base settings"),
    )
    space: dict[str, Axis] = Field(
        description="Dotted names of settings, each with its choices or its range.",
        json_schema_extra=about("Searched settings"),
    )
    sampler: SamplerName = Field(
        "tpe",
        description="How the settings of the next trial are chosen.",
        json_schema_extra=about(
            "Sampler",
            tpe="learns from the trials before where good settings lie (Bergstra et al. 2011)",
            random="anywhere in the ranges, each trial on its own (Bergstra & Bengio 2012)",
            grid="every combination of the choices, ranges cut into a few points",
        ),
    )
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = Field(
        20,
        description="Runs to train; a grid has as many as it has combinations.",
        json_schema_extra=about("Trials"),
    )
    pruning: bool = Field(
        True,
        description="Stop a trial early when its best accuracy so far lies below the median of "
        "what earlier trials had reached by that epoch.",
        json_schema_extra=about("Stop hopeless trials"),
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        0,
        description="Decides which settings are tried; the trials' own seed is that of the base.",
        json_schema_extra=about("Seed of the search"),
    )

    @classmethod
    def parse(cls, values: dict[str, Any] | str) -> Self:
        """Returns what a dictionary or JSON text describes, with all faults reported at once.

        Raises:
            SpecError: with every fault of the search, of its base and of each searched setting.
        """
        if isinstance(values, str):
            try:
                values = json.loads(values)
            except ValueError as error:
                raise SpecError(f"The search is not valid JSON: {error}.") from error
        if not isinstance(values, dict):
            raise SpecError("A search is a JSON object with base and space.")
        return cls._checked(values)

    @classmethod
    def _checked(cls, values: dict[str, Any]) -> Self:
        faults: list[str] = []
        shell: Self | None = None
        try:
            shell = super().parse(values | {"space": {}})
        except SpecError as error:
            faults.append(str(error))
        base = shell.base if shell else _base_or_default(values.get("base"))
        raw_space = values.get("space")
        space: dict[str, Axis] = {}
        if not isinstance(raw_space, Mapping) or not raw_space:
            faults.append("Nothing is searched; name at least one setting, such as optimiser.lr.")
            raw_space = {}
        for path, raw in raw_space.items():
            try:
                space[path] = _axis(base, path, raw)
            except SpecError as error:
                faults.append(str(error))
        if values.get("sampler") == "grid" and _grid_size(space) > MAX_TRIALS:
            faults.append(
                f"The grid has {_grid_size(space):,} combinations; at most {MAX_TRIALS:,} can be "
                "searched: take fewer choices or points, or another sampler."
            )
        if shell is None or faults:
            raise SpecError(" ".join(faults))
        return shell.model_copy(update={"space": space})

    @property
    def num_trials(self) -> int:
        """How many trials the whole search has."""
        return _grid_size(self.space) if self.sampler == "grid" else self.trials

    def grid(self) -> dict[str, tuple[Value, ...]]:
        """Returns the values of each searched setting that a grid goes over."""
        return {path: grid_values(path, axis) for path, axis in self.space.items()}

    def rounded(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Returns the values of a trial as they are trained with: ranges to three digits.

        Nobody wants to read or type more of a learning rate, and no result depends on it.
        """
        return {path: _three_digits(self.space[path], value) for path, value in params.items()}

    def trial_spec(self, params: Mapping[str, Value]) -> RunSpec:
        """Returns the spec of a trial with these values of the searched settings.

        Where the strategy is searched and the learning rate is not, each strategy is tried with
        its own default rate: one rate for all would favour those that it happens to suit.

        Raises:
            SpecError: the values do not go together.
        """
        settings = self.rounded(params)
        if "strategy.name" in self.space and "optimiser.lr" not in self.space:
            settings["optimiser.lr"] = STRATEGIES[str(params["strategy.name"])].default_lr
        return laid_over(self.base, settings)


def laid_over(base: RunSpec, settings: Mapping[str, Any]) -> RunSpec:
    """Returns a spec with dotted settings, such as `optimiser.lr`, in the place of its own.

    Raises:
        SpecError: a setting is unknown or out of its range.
    """
    return RunSpec.parse(nested(settings, base.model_dump()))


def nested(settings: Mapping[str, Any], values: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns dotted settings as parts within parts, laid over those of `values`."""
    values = {} if values is None else values
    for path, value in settings.items():
        *parents, last = path.split(".")
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return values


def is_whole(path: str) -> bool:
    """Returns whether a setting takes whole numbers only."""
    return field_info(path).annotation is int


def grid_values(path: str, axis: Axis) -> tuple[Value, ...]:
    """Returns the values of one searched setting that a grid goes over."""
    return axis.grid(is_whole(path)) if isinstance(axis, Range) else axis


def parse_over(text: str) -> tuple[str, Any]:
    """Returns the setting and the unchecked axis that `--over` names.

    Args:
        text: `optimiser.lr=1e-4..1e-2`, `strategy.name=frozen,full` or, with the points of a grid
            and the scale spelt out, `model.dropout=0..0.5:6:linear`.

    Raises:
        SpecError: the text has no `=`.
    """
    path, separator, axis = text.partition("=")
    if not separator or not path.strip() or not axis.strip():
        raise SpecError(
            f"--over {text!r} names nothing to search; write SETTING=LOW..HIGH or "
            "SETTING=CHOICE,CHOICE, for example optimiser.lr=1e-4..1e-2."
        )
    return path.strip(), _range_text(axis) or [choice.strip() for choice in axis.split(",")]


def _range_text(text: str) -> dict[str, Any] | None:
    span, *options = text.strip().split(":")
    low, separator, high = span.partition("..")
    try:
        values: dict[str, Any] = {"low": float(low), "high": float(high)}
    except ValueError:
        return None
    for option in options:
        if option in ("log", "linear"):
            values["log"] = option == "log"
        else:
            values["points"] = option
    return values if separator else None


def _base_or_default(raw: Any) -> RunSpec:
    """Returns a base to check the searched settings against where the given one has faults."""
    try:
        return raw if isinstance(raw, RunSpec) else RunSpec.parse(raw)
    except SpecError:
        return RunSpec(data=DataSpec(folder="/"))


def _axis(base: RunSpec, path: str, raw: Any) -> Axis:
    """Returns the checked axis of one setting, its values as the spec would hold them.

    Raises:
        SpecError: with every fault of this setting.
    """
    if path not in base.flat():
        raise SpecError(f"{path} is not a setting that Thaw knows.")
    why = NOT_SEARCHED.get(path.partition(".")[0])
    if why is not None:
        raise SpecError(f"{path} cannot be searched: {why}.")
    if isinstance(raw, Mapping | Range):
        return _range(base, path, raw)
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        return _choices(base, path, raw)
    raise SpecError(f"{path} is {raw!r}; give a list of choices or a range with low and high.")


def _choices(base: RunSpec, path: str, raw: Sequence[Any]) -> tuple[Value, ...]:
    values, faults = _as_in_spec(base, path, raw)
    if faults:
        raise SpecError(" ".join(faults))
    if len(dict.fromkeys(values)) < 2 or len(dict.fromkeys(values)) < len(values):
        raise SpecError(f"{path} is {list(raw)}; give at least two choices, all different.")
    return tuple(values)


def _range(base: RunSpec, path: str, raw: Mapping[str, Any] | Range) -> Range:
    if field_info(path).annotation not in (int, float):
        raise SpecError(f"{path} is no number and has no range; list its choices.")
    values = raw.model_dump() if isinstance(raw, Range) else dict(raw)
    try:
        axis = Range.parse(values)
    except SpecError as error:
        raise SpecError(f"The range of {path}: {error}") from error
    if "log" not in values:
        wide = axis.low > 0 and axis.high >= LOG_FROM_FACTOR * axis.low
        axis = axis.model_copy(update={"log": wide})
    _, faults = _as_in_spec(base, path, (_number(path, axis.low), _number(path, axis.high)))
    if axis.low >= axis.high:
        faults.append(f"{path} goes from {axis.low:g} to {axis.high:g}; the first must be less.")
    if axis.log and axis.low <= 0:
        faults.append(f"{path} starts at {axis.low:g}; a logarithmic range starts above 0.")
    if faults:
        raise SpecError(" ".join(faults))
    return axis


def _number(path: str, value: float) -> float:
    return int(value) if is_whole(path) and value.is_integer() else value


def _as_in_spec(base: RunSpec, path: str, raw: Sequence[Any]) -> tuple[list[Value], list[str]]:
    """Returns the values as a spec would hold them, and a sentence for each that it would not.

    A value that only does not go with the rest of the base is let pass: another searched setting
    may go with it, and a trial in which it does not says so.
    """
    values: list[Value] = []
    faults: list[str] = []
    for value in raw:
        try:
            values.append(laid_over(base, {path: value}).flat()[path])
        except SpecError as error:
            if str(error).startswith(f"{path} is {value!r}"):
                faults.append(str(error))
            else:
                values.append(value)
    return values, faults


def _three_digits(axis: Axis, value: Value) -> Value:
    if not isinstance(axis, Range) or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.3g}"), axis.low), axis.high)


def _grid_size(space: Mapping[str, Axis]) -> int:
    return math.prod(len(grid_values(path, axis)) for path, axis in space.items())
