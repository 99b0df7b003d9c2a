"""How a model in use is updated with new images: a method is data, as a strategy is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NAIVE = "naive"
# Where no strategy is named: those that keep the backbone say so.
STILL = "frozen"


@dataclass(frozen=True)
class Method:
    """One way to learn from new images without losing the old.

    Attributes:
        name: the field's word for it, used in specs.
        label: what a person reads.
        sentence: what it does and when it helps.
        source: the paper (authors, year) that it comes from.
        old_images: which of the earlier images it reads: none, some, or all.
        settings: dotted names of the settings that it reads, beside those of every run.
        defaults: dotted settings that are to be other than the model had them, where nobody says
            anything else.
        still: whether the backbone stays as it is, whatever the strategy.
        steps: whether it takes optimiser steps at all.
    """

    name: str
    label: str
    sentence: str
    source: str
    old_images: Literal["none", "some", "all"] = "none"
    settings: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    still: bool = False
    steps: bool = True


_LISTED = (
    Method(
        NAIVE,
        "New images only",
        "Trains on from the old weights with nothing but the new images: the usual way, and the "
        "one that forgets most. All others are measured against it.",
        "McCloskey & Cohen 1989",
    ),
    Method(
        "replay",
        "New images and some old ones",
        "Shows a share of the old images again, so that they are not forgotten; every class is "
        "drawn equally often, since few old ones are among many new. It needs the old images to be "
        "there still.",
        "Robins 1995; chosen as in iCaRL (Rebuffi et al. 2017)",
        old_images="some",
        settings=("update.replay_share", "update.replay_choice"),
        defaults={"training.class_balance": "sampling"},
    ),
    Method(
        "joint",
        "All images",
        "Trains on all old and new images together: the most that can be had, and the slowest.",
        "Caruana 1997",
        old_images="all",
    ),
    Method(
        "frozen_head",
        "New classes only",
        "Keeps all of the old model and trains nothing but the head's rows of new classes, on "
        "features that are computed once: seconds, and the old classes' logits stay bit for bit.",
        "Donahue et al. 2014 (DeCAF)",
        defaults={"strategy.name": STILL},
        still=True,
    ),
    Method(
        "lwf",
        "Old model as teacher",
        "Asks that the new model answer the new images, for the old classes, as the old model "
        "does: forgets less without one old image.",
        "Li & Hoiem 2016 (Learning without Forgetting)",
        settings=("update.distillation", "update.temperature"),
    ),
    Method(
        "ewc",
        "Weights that mattered stay",
        "Pulls each weight back to its old value, the harder the more the old images depend on it.",
        "Kirkpatrick et al. 2017 (EWC)",
        old_images="some",
        settings=("update.importance",),
    ),
    Method(
        "l2_sp",
        "Pull to the old weights",
        "Pulls every weight back to its old value, all equally hard.",
        "Li et al. 2018 (L2-SP)",
        settings=("strategy.pull", "strategy.head_pull"),
        # Adam makes steps of one length whatever is added to the loss: a pull that holds weights
        # near the pre-trained ones is too weak to keep what was learnt. On the clip art 0.1 and 1
        # forget as much as no pull, 10 half of it.
        defaults={"strategy.pull": 10.0, "strategy.head_pull": 10.0},
    ),
    Method(
        "wise_ft",
        "Blend of old and new",
        "Trains on the new images only, and keeps a blend of the old weights and the new ones; "
        "after the run a slider shows the accuracy at every blend.",
        "Wortsman et al. 2022 (WiSE-FT)",
        settings=("strategy.alpha",),
    ),
    Method(
        "ncm",
        "Nearest class mean",
        "Takes no step: an image belongs to the class whose mean feature is nearest. The baseline "
        "that is there at once.",
        "Mensink et al. 2013",
        old_images="all",
        defaults={"strategy.name": STILL, "training.epochs": 1},
        still=True,
        steps=False,
    ),
)
METHODS: dict[str, Method] = {method.name: method for method in _LISTED}
