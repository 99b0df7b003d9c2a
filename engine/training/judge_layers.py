"""How far each stage has moved from the pre-trained network, and how much else it sees.

Measured at the end of each epoch, on the weights that are judged: those of the average where one
is kept. Of stages that nothing has moved yet nothing is computed and nothing is told: their weights
and what they give are those of the pre-trained network, to the bit. Nothing that is measured has a
part in training: weights are the same, bit for bit, without it.

What it costs: the images' features are taken while the validation images are judged anyway. Those
of the pre-trained network are computed once, when they are first needed, by running the chosen
images through the first weights (see `layers.py`). What the copies of the weights cost is said in
`drift.py`.

Source: drift as in L2-SP (Li et al. 2018); representations by linear CKA (Kornblith et al. 2019).
"""

from collections.abc import Collection, Mapping

import numpy as np
import torch

from engine.events import Value
from engine.training.feeding import Inputs
from engine.training.layer_names import CKA, CKA_IMAGES, DRIFT, STATISTICS
from engine.training.loop import Forward
from engine.training.memory import give_back_memory, is_shortage
from engine.training.reporter import StopTrainingError
from engine.training.representation import Watch, find_taps
from engine.training.session import Session
from engine.training.similarity import Kernel


def watch_stages(session: Session, inputs: Inputs | None) -> Watch:
    """Returns what takes down what moved stages, and those behind them, give in an epoch's judging.

    Args:
        session: the run.
        inputs: what the epoch runs on; pictures where None.
    """
    run = _run_in(session, inputs)
    taps = {stage: path for stage, path in _taps(session).items() if stage in run}
    return Watch(session.judged.backbone, taps, session.layers.positions_N.tolist())


def layer_values(
    session: Session, inputs: Inputs | None, features: Mapping[str, np.ndarray]
) -> dict[str, Value]:
    """Returns what an epoch tells of the stages that were moved so far, and of those behind them.

    Args:
        session: the run; its weights are those that were judged.
        inputs: what the epoch ran on; pictures where None.
        features: of the chosen images, by each stage that was watched (N, D).

    Returns:
        `drift/<stage>`, `drift_statistics/<stage>` where the stage has such, `cka/<stage>` (None
        where it cannot be told), and always `cka_images`: how many there are. A stage that is not
        named is as it was: its drift is 0 and its CKA is 1.

    Raises:
        StopTrainingError: the run was asked to stop.
    """
    values: dict[str, Value] = {CKA_IMAGES: len(session.layers.positions_N)}
    if not session.moved:
        return values
    before, backbone = session.layers.before, session.judged.backbone
    for stage in backbone.stages:
        if stage in session.moved:
            values[DRIFT + stage] = before.drift(backbone, stage)
            statistics = before.drift_of_statistics(backbone, stage)
            if statistics is not None:
                values[STATISTICS + stage] = statistics
    cka = session.layers.cka
    try:
        cka |= _measured(session, inputs, features)
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        _give_up(session)
    return values | {CKA + stage: cka.get(stage) for stage in _from_first_moved(session)}


def _measured(
    session: Session, inputs: Inputs | None, features: Mapping[str, np.ndarray]
) -> dict[str, float | None]:
    """Returns the CKA of each stage that may have changed since it was measured last."""
    layers = session.layers
    # What lies before what an epoch runs is as it was measured when it was last run.
    unknown = [
        stage
        for stage in _from_first_moved(session)
        if stage not in features and stage not in layers.cka and stage in _taps(session)
    ]
    if unknown:
        features = dict(features) | _features(session, unknown, None)
    missing = [stage for stage in features if stage not in layers.kernels]
    if missing:
        moved_before = inputs is None or session.moved & inputs.cut.stages_before
        same = None if moved_before or unknown else inputs
        with layers.before.as_before(session.judged.backbone):
            found = _features(session, missing, same)
        layers.kernels |= {stage: Kernel.of(rows_ND) for stage, rows_ND in found.items()}
    return {stage: _cka(layers.kernels.get(stage), rows) for stage, rows in features.items()}


def _cka(before: Kernel | None, features_ND: np.ndarray) -> float | None:
    now = None if before is None else Kernel.of(features_ND)
    return None if before is None or now is None else before.alignment(now)


@torch.inference_mode()
def _features(
    session: Session, stages: Collection[str], inputs: Inputs | None
) -> dict[str, np.ndarray]:
    """Returns what stages make of the chosen images now (N, D)."""
    backbone = session.judged.backbone
    watch = Watch(backbone, {stage: _taps(session)[stage] for stage in stages}, None)
    source = watch.source(session.feed.val_images(session.layers.positions_N, inputs))
    features: Forward = backbone
    if inputs is not None:
        cut = inputs.cut
        features = lambda batch: cut.after(batch, backbone)  # noqa: E731
    forward = watch.forward(session.learner.precision.wrapped(features))
    with backbone.evaluating(), session.feed.folded(backbone), watch.hooked():
        for batch, _, _ in source.epoch(1):
            session.judging(forward, batch)
            if session.reporter.should_stop():
                raise StopTrainingError
    return watch.features()


def _taps(session: Session) -> dict[str, str]:
    layers = session.layers
    if not session.moved:
        return {}
    if layers.taps is None:
        layers.taps = find_taps(session.model.backbone, session.feed.some_pictures())
    return layers.taps


def _from_first_moved(session: Session) -> list[str]:
    """Returns the stages whose output may differ from that of the pre-trained network."""
    names = list(session.model.backbone.stages)
    return names[min((names.index(stage) for stage in session.moved), default=len(names)) :]


def _run_in(session: Session, inputs: Inputs | None) -> set[str]:
    """Returns the stages with another output than at first that an epoch runs."""
    still = set() if inputs is None else inputs.cut.stages_before
    return set(_from_first_moved(session)) - still


def _give_up(session: Session) -> None:
    """Tells that representations are not compared in this run, for want of memory."""
    give_back_memory()
    layers = session.layers
    if layers.taps:
        note = (
            "Memory ran out while the pre-trained network was run once more, so how much the "
            "stages' representations change is not measured; training goes on unchanged."
        )
        session.reporter.emit("progress", session.epoch, 0, {"task": "memory", "memory_note": note})
    layers.taps, layers.cka = {}, {}
