"""What learns now: the phase of the epoch, and what a person changed while the run goes on."""

from engine.events import Value
from engine.spec import Act
from engine.training.feeding import Inputs
from engine.training.repeatable import compute_repeatably
from engine.training.session import Session


def begin_epoch(session: Session, epoch: int) -> Inputs | None:
    """Enters the phase of an epoch; acts that are due take effect first.

    Returns:
        What the epoch runs on, where that is not pictures.
    """
    before = (epoch - 1) * session.learner.rates.plan.steps_per_epoch
    acts = _due(session, before + 1)
    for act in acts:
        _apply(session, act, epoch, before + 1)
    plan = session.learner.rates.plan
    is_first = epoch == session.resumed_after + 1
    if is_first or plan.phase(before) is not plan.phase(before - 1) or acts:
        enter(session, before, epoch)
    return session.inputs(before)


def steer(session: Session, epoch: int, step: int, inputs: Inputs | None) -> None:
    """Applies the acts that are due before a step.

    A stage that this epoch does not run, since what it gives was computed once, is set free in the
    next one.
    """
    if (step - 1) % session.learner.rates.plan.steps_per_epoch == 0:
        # The epoch has just begun with all that was due. What came since waits for the second
        # step: a replay knows steps only, and would begin the epoch with it.
        return
    acts = _due(session, step)
    skipped = set() if inputs is None else inputs.cut.stages_before
    later = [act for act in acts if act.kind != "lr" and act.target in skipped]
    now = [act for act in acts if act not in later]
    session.waiting = [*later, *session.waiting]
    for act in now:
        _apply(session, act, epoch, step)
    if now:
        enter(session, step - 1, epoch)


def enter(session: Session, before: int, epoch: int) -> None:
    """Lets learn what is to learn after `before` steps, freezes all else, and tells of it.

    Args:
        session: the run.
        before: steps taken so far.
        epoch: counts from 1.
    """
    factors = session.trainable(before)
    free = set(factors)
    every = session.spec.training.batch_norm == "update"
    touched = set(session.model.backbone.stages) if every else free
    if touched:
        session.layers.before.keep(free)
    if touched - session.moved:
        # What was best so far may hold tensors that are about to change.
        session.checkpoint.write()
        session.moved |= touched
    if frozenset(free) not in session.repeats:
        # What was tried with other stages need not hold for these.
        compute_repeatably()
    session.feed.forget(free)
    session.model.set_trainable(free)
    session.model.train_stages(free, session.batch_norm)
    session.reporter.emit("phase", epoch, before, _stage_rates(session, factors, before))


def _stage_rates(session: Session, factors: dict[str, float], before: int) -> dict[str, Value]:
    rates = session.learner.rates
    values: dict[str, Value] = {
        f"stage/{name}": factors.get(name, 0.0) * rates.plan.backbone_lr
        for name in session.model.backbone.stages
    }
    values["head"] = rates.head_factor(rates.plan.phase(before)) * rates.plan.head_lr
    return values


def _due(session: Session, step: int) -> list[Act]:
    """Takes the acts that are due before a step from those that wait, live ones included."""
    wanted = session.reporter.take_acts()
    due = [act for act in session.waiting if act.step <= step]
    session.waiting = [act for act in session.waiting if act.step > step]
    return [*due, *wanted]


def _apply(session: Session, act: Act, epoch: int, step: int) -> None:
    session.learner.rates.apply(act)
    values: dict[str, Value] = {
        "act": act.kind,
        "target": act.target,
        "factor": act.factor,
        "sentence": act.sentence,
    }
    session.reporter.emit("act", epoch, step, values)
