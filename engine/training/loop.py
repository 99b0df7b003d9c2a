"""One epoch of training and one of validation.

Shapes: B images, N images of the split, K classes.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from engine.errors import TrainingError
from engine.events import Value
from engine.models.classifier import Classifier
from engine.training.gradients import gradient_norms
from engine.training.memory import Judging, Undo, in_parts, judging_note, learning_note
from engine.training.metrics import EpochMetrics
from engine.training.mixing import Mixer
from engine.training.precision import Precision
from engine.training.rates import Rates
from engine.training.reporter import Reporter, StopTrainingError
from engine.training.sources import Source

MAX_STEP_EVENTS = 5000

Forward = Callable[[Tensor], Tensor]


@dataclass
class StepLog:
    """Tells of every step, or of the mean of a few where a run has very many.

    Attributes:
        reporter: is told.
        every: steps a report covers.
    """

    reporter: Reporter
    every: int
    _loss: float = 0.0
    _correct: int = 0
    _images: int = 0
    _started: float = 0.0

    @classmethod
    def for_run(cls, reporter: Reporter, num_steps: int) -> "StepLog":
        """Returns a log that makes at most MAX_STEP_EVENTS reports in a run."""
        return cls(reporter, every=max(1, math.ceil(num_steps / MAX_STEP_EVENTS)))

    def is_due(self, step: int) -> bool:
        """Returns whether it is time to report with a step."""
        return step % self.every == 0

    def add(
        self, epoch: int, step: int, loss: float, correct: int, images: int, told: dict[str, float]
    ) -> None:
        """Counts a step and reports when it is time; what else is `told` is of this step alone."""
        self._loss += loss * images
        self._correct += correct
        self._images += images
        if not self.is_due(step):
            return
        now = time.perf_counter()
        values: Mapping[str, Value] = {
            "train/loss": self._loss / self._images,
            "train/accuracy": self._correct / self._images,
            "images_per_second": self._images / max(now - self._started, 1e-9),
            **told,
        }
        self.reporter.emit("step", epoch, step, values)
        self.restart(now)

    def restart(self, now: float) -> None:
        """Forgets the steps counted so far; the clock starts at `now` (perf_counter seconds)."""
        self._loss, self._correct, self._images, self._started = 0.0, 0, 0, now

    def state(self) -> dict[str, Any]:
        """Returns the steps counted so far, as plain data for JSON."""
        return {
            "loss": self._loss,
            "correct": self._correct,
            "images": self._images,
            "seconds": time.perf_counter() - self._started,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state` gave."""
        self._loss, self._correct, self._images = state["loss"], state["correct"], state["images"]
        self._started = time.perf_counter() - state["seconds"]


@dataclass
class Learner:
    """What a step needs beside its batch.

    Attributes:
        model: whose weights move.
        criterion: of logits (B, K) and labels (B,) or shares of classes (B, K).
        optimiser: moves them.
        rates: sets its learning rates.
        mixer: blends pictures of a batch.
        penalty: what is added to the loss, if anything is.
        clip_norm: longest gradient that is let through; 0 lets all through.
        average: moving average of the weights, if one is kept.
        precision: in which numbers is computed; full where None.
        accumulation: parts that a batch is computed in; more where memory ran out.
        teacher: what a model that is updated adds to the loss of inputs and their logits (B, K),
            if it has one.
    """

    model: Classifier
    criterion: nn.Module
    optimiser: Optimizer
    rates: Rates
    mixer: Mixer
    penalty: nn.Module | None = None
    clip_norm: float = 0.0
    average: ModelEmaV3 | None = None
    precision: Precision = field(default_factory=lambda: Precision("full", torch.device("cpu")))
    accumulation: int = 1
    teacher: Callable[[Tensor, Tensor], Tensor] | None = None
    _undo: Undo = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._undo = Undo(self.model)

    def learn(self, forward: Forward, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Adds up the gradients of a batch, part by part.

        Where memory runs out, it is done again in more parts, as are all batches that follow.

        Args:
            forward: gives logits of inputs.
            inputs: of the batch.
            targets: labels (B,) or shares of classes (B, K).

        Returns:
            Mean loss () and logits (B, K), detached.
        """
        self._undo.keep(inputs.device)

        def undo() -> None:
            self.optimiser.zero_grad(set_to_none=True)
            self._undo()

        learnt, parts = in_parts(
            lambda parts: self._learn(forward, inputs, targets, parts),
            self.accumulation,
            len(inputs),
            undo,
        )
        self.accumulation = max(self.accumulation, parts)
        return learnt

    def _learn(
        self, forward: Forward, inputs: Tensor, targets: Tensor, num_parts: int
    ) -> tuple[Tensor, Tensor]:
        self.optimiser.zero_grad(set_to_none=True)
        if num_parts == 1:
            loss, logits_BK = self.loss(forward, inputs, targets)
            loss = loss + self._taught(inputs, logits_BK)
            self.precision.backward(loss)
            return loss.detach(), logits_BK.detach()
        losses: list[Tensor] = []
        logits: list[Tensor] = []
        for part, targets_of_part in zip(
            inputs.tensor_split(num_parts), targets.tensor_split(num_parts), strict=True
        ):
            loss, part_logits = self.loss(forward, part, targets_of_part)
            loss = loss * (self._weight(targets_of_part) / self._weight(targets))
            loss = loss + self._taught(part, part_logits) * (len(part) / len(inputs))
            self.precision.backward(loss)
            losses.append(loss.detach())
            logits.append(part_logits.detach())
        return torch.stack(losses).sum(), torch.cat(logits)

    def _taught(self, inputs: Tensor, logits_BK: Tensor) -> Tensor | float:
        if self.teacher is None:
            return 0.0
        with self.precision.computing():
            return self.teacher(inputs, logits_BK)

    def _weight(self, targets: Tensor) -> Tensor | int:
        """Returns what the mean loss of some pictures is a share of: so much do they weigh."""
        weight_K = getattr(self.criterion, "weight", None)
        # Shares of classes are weighed in the loss, and its mean is over the pictures.
        return len(targets) if weight_K is None or targets.dim() > 1 else weight_K[targets].sum()

    def loss(self, forward: Forward, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean loss () and logits (B, K) of a batch."""
        with self.precision.computing():
            logits_BK = forward(inputs).float()
            loss: Tensor = self.criterion(logits_BK, targets)
        return loss, logits_BK

    def descend(self, step: int, measures: bool = False) -> dict[str, float]:
        """Takes one step along the gradients that were added up, and along that of the penalty.

        Args:
            step: counts from 1.
            measures: whether to look how strong they are.

        Returns:
            The norm of each stage's gradient, that of the penalty counted in, before a gradient
            that is too long is clipped; nothing where they are not measured.
        """
        if self.penalty is not None:
            self.precision.backward(self.penalty())
        scaler = self.precision.scaler
        # Asked for only where the loss was scaled: it waits for a GPU.
        scale = scaler.get_scale() if measures and scaler.is_enabled() else 1.0
        norms = gradient_norms(self.model, scale) if measures else {}
        if self.clip_norm:
            scaler.unscale_(self.optimiser)
            clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], self.clip_norm)
        scaler.step(self.optimiser)
        scaler.update()
        if self.average is not None:
            self.average.update(self.model, step)
        return norms


def train_one_epoch(
    epoch: int,
    forward: Forward,
    source: Source,
    learner: Learner,
    metrics: EpochMetrics,
    log: StepLog,
    before_step: Callable[[int], None],
    after_step: Callable[[int], None],
    skip: int = 0,
) -> None:
    """Takes one optimiser step a batch.

    Accuracy counts a blended picture as the one that it was before.

    Args:
        epoch: counts from 1.
        forward: gives logits (B, K) of the source's inputs.
        source: batches.
        learner: takes the steps.
        metrics: of the epoch.
        log: of steps.
        before_step: is called with the number of each step, counted from 1.
        after_step: is called with the number of batches of the epoch that were learnt from.
        skip: batches that were learnt from before.

    Raises:
        TrainingError: the loss is not a finite number.
        StopTrainingError: the run was asked to stop.
    """
    for index, (inputs, labels_B, _) in enumerate(source.epoch(epoch, skip), start=skip + 1):
        step = (epoch - 1) * source.num_batches + index
        before_step(step)
        rates = learner.rates.set(step - 1)
        mixed, targets = learner.mixer(inputs, labels_B, step)
        parts = learner.accumulation
        loss, logits_BK = learner.learn(forward, mixed, targets)
        if learner.accumulation > parts:
            note = learning_note(learner.model, len(labels_B), parts, learner.accumulation)
            log.reporter.emit("progress", epoch, step, {"task": "memory", "memory_note": note})
        loss_value = float(loss)
        if not math.isfinite(loss_value):
            raise TrainingError(_not_finite("training", loss_value, epoch, step, rates))
        norms = learner.descend(step, measures=log.is_due(step))
        metrics.update(loss, logits_BK, labels_B)
        correct = int((logits_BK.argmax(dim=1) == labels_B).sum())
        log.add(epoch, step, loss_value, correct, len(labels_B), rates | norms)
        after_step(index)
        if log.reporter.should_stop():
            raise StopTrainingError


@torch.inference_mode()
def evaluate(
    epoch: int,
    forward: Forward,
    source: Source,
    criterion: nn.Module,
    metrics: EpochMetrics,
    reporter: Reporter,
    judging: Judging | None = None,
) -> Tensor:
    """Returns the logits (N, K) of every validation image, in the manifest's order.

    Args:
        epoch: counts from 1.
        forward: gives logits (B, K) of the source's inputs.
        source: batches.
        criterion: the loss of logits and labels.
        metrics: of the epoch.
        reporter: is told where memory runs out, and says when to stop.
        judging: in how many parts batches are computed, and are to be from then on.

    Raises:
        TrainingError: the mean loss is not a finite number.
        StopTrainingError: the run was asked to stop.
    """
    judging = judging or Judging()
    collected: list[Tensor] = []
    for inputs, labels_B, _ in source.epoch(1):
        parts = judging.parts
        logits_BK = judging(forward, inputs)
        if judging.parts > parts:
            note = judging_note(len(inputs), judging.parts)
            reporter.emit("progress", epoch, 0, {"task": "memory", "memory_note": note})
        metrics.update(criterion(logits_BK, labels_B), logits_BK, labels_B)
        collected.append(logits_BK.cpu())
        if reporter.should_stop():
            raise StopTrainingError
    logits_NK = torch.cat(collected)
    if not bool(torch.isfinite(logits_NK).all()):
        raise TrainingError(_not_finite("validation", math.nan, epoch, 0, {}))
    return logits_NK


def _not_finite(split: str, loss: float, epoch: int, step: int, rates: dict[str, float]) -> str:
    where = f"epoch {epoch}" + (f", step {step}" if step else "")
    rate = f" (it was {max(rates.values()):.1e})" if rates else ""
    name = "NaN" if math.isnan(loss) else "infinite"
    return f"The {split} loss became {name} in {where}; lower the learning rate{rate}."
