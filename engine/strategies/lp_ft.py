"""Linear probe, then full fine-tuning."""

from collections.abc import Sequence

from engine.strategies.base import Phase, Strategy, all_at
from engine.strategies.settings import StrategySettings


def probe_then_tune(
    stages: Sequence[str], epochs: int, settings: StrategySettings
) -> tuple[Phase, ...]:
    """Returns a phase of the head alone, then one of everything at a lower rate.

    With a single epoch there is no room for the second.
    """
    probe = Phase(1, {})
    if epochs == 1:
        return (probe,)
    start = min(max(round(epochs * settings.probe_share), 1), epochs - 1) + 1
    scale = settings.tune_scale
    return probe, Phase(start, all_at(stages, scale), head_rate=scale, restarts=True)


STRATEGY = Strategy(
    name="lp_ft",
    label="Probe, then full",
    sentence="The head is trained first on the frozen backbone, then everything at a lower rate. "
    "A head that already fits sends small gradients down, so the pre-trained features are bent "
    "less: as good as full on data like the training pictures, better under shift.",
    source="Kumar et al. 2022",
    temperature="warm",
    default_lr=3e-3,
    plan=probe_then_tune,
    settings=("probe_share", "tune_scale"),
)
