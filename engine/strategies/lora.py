"""LoRA: the weights stay, low-rank changes beside them learn, and the head."""

from engine.strategies.base import Adapters, Phase, Strategy, all_at

STRATEGY = Strategy(
    name="lora",
    label="LoRA",
    sentence="The backbone stays as it was; small low-rank matrices beside its linear layers and "
    "convolutions learn, and the head. Few numbers a task, and they can be folded into the "
    "weights, so that the finished model costs nothing extra; worth it on large backbones.",
    source="Hu et al. 2021 (LoRA)",
    temperature="warm",
    default_lr=2e-3,
    plan=lambda stages, epochs, settings: (Phase(1, all_at(stages)),),
    settings=("rank", "lora_alpha"),
    select="adapters",
    moves_statistics=False,
    adapters=lambda settings: Adapters(settings.rank, settings.lora_alpha / settings.rank),
)
