"""Which of the pre-trained weights may move."""

from pydantic import Field, field_validator

from engine.fields import about
from engine.strategies import STRATEGIES, StrategySettings


class StrategySpec(StrategySettings):
    """Which of the pre-trained weights may move, and when."""

    name: str = Field(
        "frozen",
        description="How the pre-trained weights are updated.",
        json_schema_extra=about("Strategy"),
    )

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STRATEGIES:
            raise ValueError(f"must be one of {', '.join(STRATEGIES)}")
        return value
