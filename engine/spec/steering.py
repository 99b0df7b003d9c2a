"""What a person changed while a run went on, so that the run can be replayed."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from engine.fields import Part

ActKind = Literal["freeze", "unfreeze", "lr"]
HEAD, BACKBONE = "head", "backbone"


class Act(Part):
    """One change: a stage is frozen or let learn, or a learning rate is multiplied.

    Attributes:
        step: the optimiser step, counted from 1, before which it takes effect.
        kind: freeze, unfreeze or lr.
        target: a stage of the backbone; for lr: head, backbone or a stage.
        factor: what the learning rate is multiplied by (lr only).
    """

    step: Annotated[int, Field(ge=0)] = 0
    kind: ActKind
    target: str = Field(min_length=1)
    factor: Annotated[float, Field(ge=0.001, le=1000.0)] = 1.0

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.kind != "lr" and self.target in (HEAD, BACKBONE):
            raise ValueError(f"To {self.kind} takes the name of a stage, not {self.target!r}.")
        return self

    @property
    def sentence(self) -> str:
        """What was done, for a person."""
        if self.kind == "freeze":
            return f"{self.target} frozen"
        if self.kind == "unfreeze":
            return f"{self.target} set free"
        return f"learning rate of {self.target} × {self.factor:g}"


def is_due_as(scripted: Act, recorded: Act) -> bool:
    """Returns whether an act of a spec may be one that took effect; some wait for an epoch."""
    same = scripted.model_copy(update={"step": recorded.step}) == recorded
    return same and scripted.step <= recorded.step
