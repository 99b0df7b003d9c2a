"""A run as one file: what lies in it, and what its `run.json` says.

A zip with a flat list of members whose names are known: `run.json` (this module's RunDocument),
`events.jsonl`, and files of the run's folder under their own names. Tensors and predictions are
stored as they are, texts are deflated. `run.json` has the size and the SHA-256 of all others.
"""

import hashlib
import json
import re
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from engine.events import ACTIVE, Kind, Status
from engine.runs.plain import Finite, Small, Text, Time, Whole, as_planned, plain_json

FORMAT = 1
SUFFIX = ".thaw"
RUN, EVENTS = "run.json", "events.jsonl"
ENDED: tuple[str, ...] = tuple(one for one in get_args(Status) if one not in ACTIVE)

MIB = 2**20
MOST_MEMBERS = 300
MOST_EVENTS = 200_000
MOST_LINE_BYTES = MIB
# A text of less than this may shrink as it likes; paths and numbers shrink to a tenth at most.
RATIO_COUNTS_FROM = 4 * MIB
MOST_RATIO = 100


class MemberKind(NamedTuple):
    """What a member is.

    Attributes:
        name: of its kind.
        pattern: of its name.
        most_bytes: that it has, unpacked.
        stored: as it is, not deflated.
    """

    name: str
    pattern: str
    most_bytes: int
    stored: bool = False


_ALPHA = r"alpha-(0|1|[01]\.\d{1,18}|\de-\d{1,3})"
KINDS = (
    MemberKind("run", r"run\.json", 32 * MIB),
    MemberKind("events", r"events\.jsonl", 256 * MIB),
    MemberKind("manifest", r"manifest\.json", 128 * MIB),
    MemberKind("spec", r"spec\.json", MIB),
    MemberKind("weights", r"weights\.json", 4 * MIB),
    MemberKind("curve", r"interpolation\.json", MIB),
    MemberKind("blend", _ALPHA + r"\.json", MIB),
    MemberKind("predictions", r"(predictions|before)\.npz", 1024 * MIB, stored=True),
    MemberKind("checkpoint", rf"(best|start|end|{_ALPHA})\.safetensors", 2**36, stored=True),
    MemberKind("state", r"state-\d{6}(-\d{6})?\.safetensors", 2**36, stored=True),
)


def member_kind(name: str) -> MemberKind | None:
    """Returns what a member of this name is, None where a run's file has none of it."""
    return next((kind for kind in KINDS if re.fullmatch(kind.pattern, name, re.ASCII)), None)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _an_end(value: str) -> str:
    if value not in ENDED:
        raise ValueError(f"a run in a file has ended: {', '.join(ENDED)}")
    return value


class Versions(_Strict):
    """What a file was written with."""

    thaw: Annotated[Text, Field(max_length=100)]
    torch: Annotated[Text, Field(max_length=100)]
    timm: Annotated[Text, Field(max_length=100)]


class Member(_Strict):
    """Size and SHA-256 of a member."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Blend(BaseModel):
    """Metrics of a kept model that is a blend of two, by name."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, Finite]
    accuracy: Annotated[float, Field(alias="val/accuracy")]
    alpha: float


def _plain_extra(summary: "Summary") -> "Summary":
    plain_json(summary.model_extra)
    return summary


class Summary(BaseModel):
    """Facts and results of a run: those that pages and commands read are of the right kind."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    steps_per_epoch: Whole | None = None
    classes: Whole | None = None
    train_images: Whole | None = None
    val_images: Whole | None = None
    left_out: Whole | None = None
    trainable_parameters: Whole | None = None
    total_parameters: Whole | None = None
    fingerprint: Text | None = None
    weights: Text | None = None
    device: Text | None = None
    planned_rates: Annotated[str, AfterValidator(as_planned)] | None = None
    best_val_accuracy: float | None = None
    best_epoch: Whole | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    acts_too_late: Annotated[list[Text], Field(max_length=100_000)] | None = None
    blend: Blend | None = None
    updates: Text | None = None
    new_classes: Whole | None = None
    old_images_seen_again: Whole | None = None
    old_accuracy_before: float | None = None
    new_accuracy_before: float | None = None
    checkpoint: Literal["best.safetensors"] | None = None

    def plain(self) -> dict[str, Any]:
        """Returns what was said, and nothing else."""
        return self.model_dump(exclude_unset=True, by_alias=True)


class RunRow(_Strict):
    """A run as it is in the store, without what is of the machine that it ran on."""

    id: Annotated[str, Field(pattern=r"^([0-9a-f]{8}|[0-9a-f]{16})$")]
    name: Annotated[Text, Field(min_length=1, max_length=10_000)]
    status: Annotated[str, AfterValidator(_an_end)]
    reason: Annotated[Text, Field(max_length=100_000)]
    spec: dict[str, Any]
    summary: Annotated[Summary, AfterValidator(_plain_extra)]
    group: Annotated[str, Field(pattern=r"^[0-9a-f]{1,16}$")]
    colour: Annotated[int, Field(ge=0, le=1_000_000)]
    created_at: Time
    started_at: Time | None
    ended_at: Time | None
    last_seq: Small
    note: Annotated[Text, Field(max_length=100_000)]
    tags: Annotated[list[Annotated[Text, Field(max_length=1_000)]], Field(max_length=1_000)]
    starred: bool


class AskedAct(_Strict):
    """What a person asked of the run while it went on; see spec.Act."""

    number: Small
    time: Time
    act: dict[str, Any]


class EventLine(_Strict):
    """One line of `events.jsonl`; see events.MetricEvent."""

    seq: Annotated[Small, Field(ge=1)]
    time: Time
    kind: Kind
    epoch: Small
    step: Small
    values: dict[Text, bool | Finite | Text | None]


class RunDocument(_Strict):
    """All that `run.json` says."""

    format: Literal[1]
    written_with: Versions
    run: RunRow
    acts: Annotated[list[AskedAct], Field(max_length=100_000)]
    num_events: Annotated[int, Field(ge=0, le=MOST_EVENTS)]
    members: Annotated[dict[str, Member], Field(max_length=MOST_MEMBERS)]

    def to_json(self) -> str:
        """Returns the document, the same text for the same run."""
        values = self.model_dump(mode="json")
        values["run"]["summary"] = self.run.summary.plain()
        return canonical(values, indent=1)

    def digest(self) -> str:
        """Returns what stands for the run's content.

        What a person says of a run does not belong to it, nor does its id or from what it could
        be resumed.
        """
        said = {"id", "name", "note", "tags", "starred", "group", "colour", "summary"}
        values = self.run.model_dump(mode="json", exclude=said)
        values["summary"] = self.run.summary.plain()
        values["acts"] = [one.model_dump(mode="json") for one in self.acts]
        values["files"] = {
            name: member.sha256
            for name, member in self.members.items()
            if (kind := member_kind(name)) is not None and kind.name != "state"
        }
        return hashlib.sha256(canonical(values).encode()).hexdigest()


class Heading(BaseModel):
    """What any release's `run.json` says of itself."""

    model_config = ConfigDict(extra="ignore", strict=True)

    format: Annotated[int, Field(ge=1)]


def canonical(values: Any, indent: int | None = None) -> str:
    """Returns plain data as JSON, always in the same order."""
    separators = (",", ":") if indent is None else None
    return json.dumps(values, sort_keys=True, allow_nan=False, indent=indent, separators=separators)
