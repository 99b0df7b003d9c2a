"""WiSE-FT: a blend of the weights before and after fine-tuning."""

from engine.strategies.base import Strategy
from engine.strategies.lp_ft import probe_then_tune

STRATEGY = Strategy(
    name="wise_ft",
    label="Blend of before and after",
    sentence="The head is trained, then everything, and the kept model lies between the two: "
    "part old weights, part new. Often better than either, above all on pictures unlike those it "
    "was tuned on; after the run a slider shows the accuracy at every blend.",
    source="Wortsman et al. 2022 (WiSE-FT)",
    temperature="warm",
    default_lr=3e-3,
    plan=probe_then_tune,
    settings=("probe_share", "tune_scale", "alpha"),
    blend=lambda settings: settings.alpha,
)
