"""What learns now: the phase of the epoch, and what a person changed while the run goes on."""

from engine.events import Value
from engine.spec import Act
from engine.training.session import Session


def begin_epoch(session: Session, epoch: int) -> bool:
    """Enters the phase of an epoch; acts that are due take effect first.

    Returns:
        Whether the epoch runs on features.
    """
    before = (epoch - 1) * session.learner.rates.plan.steps_per_epoch
    acts = _due(session, before + 1)
    for act in acts:
        _apply(session, act, epoch, before + 1)
    plan = session.learner.rates.plan
    is_new = epoch == 1 or plan.phase(before) is not plan.phase(before - 1)
    enter(session, before, told=is_new or bool(acts), epoch=epoch)
    return session.uses_features(before)


def steer(session: Session, epoch: int, step: int, features: bool) -> None:
    """Applies the acts that are due before a step.

    Whether a stage learns waits for the next epoch where this one runs on features.
    """
    if (step - 1) % session.learner.rates.plan.steps_per_epoch == 0:
        # The epoch has just begun with all that was due. What came since waits for the second
        # step: a replay knows steps only, and would begin the epoch with it.
        return
    acts = _due(session, step)
    later = [act for act in acts if features and act.kind != "lr"]
    now = [act for act in acts if act not in later]
    session.waiting = [*later, *session.waiting]
    for act in now:
        _apply(session, act, epoch, step)
    if now:
        enter(session, step - 1, told=True, epoch=epoch)


def enter(session: Session, before: int, told: bool, epoch: int) -> None:
    """Lets learn what is to learn after `before` steps, and freezes all else.

    Args:
        session: the run.
        before: steps taken so far.
        told: whether to tell which stages learn.
        epoch: counts from 1.
    """
    factors = session.trainable(before)
    free = set(factors)
    every = session.spec.training.batch_norm == "update"
    touched = set(session.model.backbone.stages) if every else free
    if touched - session.moved:
        # What was best so far may hold tensors that are about to change.
        session.checkpoint.write()
        session.moved |= touched
    if free:
        session.feed.forget()
    session.model.set_trainable(free)
    session.model.train_stages(free, session.batch_norm)
    if told:
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
