"""An update keeps the model that it updates. No torch here."""

from engine.errors import SpecError
from engine.spec import RunSpec


def require_same_model(spec: RunSpec, made_with: RunSpec) -> None:
    """Raises SpecError where an update asks for another model than that which is updated."""
    names = ["backbone", "head"]
    if made_with.model.head != "linear":
        names.append("hidden_units")
    for name in names:
        asked, is_there = getattr(spec.model, name), getattr(made_with.model, name)
        if asked != is_there:
            raise SpecError(
                f"model.{name} is {asked!r}, but the model to update has {is_there!r}; an update "
                "keeps it."
            )
