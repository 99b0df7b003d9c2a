"""When a run writes what it has come to, and what is told where that cannot be done."""

import time

from safetensors import SafetensorError

from engine.errors import TrainingError
from engine.events import Value
from engine.training import state
from engine.training.reporter import Pauser
from engine.training.resume import state_of
from engine.training.session import Session
from engine.training.state import reason_of


def keep_state(session: Session) -> None:
    """Writes what a run has come to at the end of an epoch, where it is time to."""
    keeper = session.keeper
    if keeper is not None and keeper.is_due and session.epoch != session.spec.training.epochs:
        _keep(session)


def keep_within(session: Session) -> None:
    """Writes what a run has come to after a step, where it is time to and the epoch is long.

    The end of a short epoch is near, and there is less to keep there.
    """
    keeper, within = session.keeper, session.within
    if keeper is None or within is None or not keeper.is_due:
        return
    if time.perf_counter() - within.began >= state.LEAST_SECONDS_WITHIN:
        _keep(session)


def write_state(session: Session) -> str:
    """Writes what a run has come to; returns why that cannot be done, or nothing.

    Raises:
        TrainingError: the best weights cannot be written.
    """
    assert session.keeper is not None
    try:
        # The best epoch so far must be on disk for a state that says there was one.
        session.checkpoint.write()
        session.keeper.write(state_of(session, time.perf_counter() - session.started))
    except (OSError, SafetensorError) as error:
        return reason_of(error)
    return ""


def pause(session: Session, pauser: Pauser) -> bool:
    """Writes exactly what a run has come to, so that it can end; returns whether that was done.

    Where it cannot, the run has lost nothing and is to go on.
    """
    if session.within is not None:
        session.within.hold(session.device)
    try:
        is_told = session.reporter.settle()
        why_not = write_state(session) if is_told else "the store of runs does not answer"
    except TrainingError as error:
        why_not = str(error).rstrip(".")
    if why_not:
        pauser.refuse_pause(
            f"The run goes on and was not paused: what it has come to cannot be written "
            f"({why_not}); free some room, and pause it again."
        )
        return False
    session.outcome.status, session.outcome.note = "paused", _where(session)
    return True


def _where(session: Session) -> str:
    if session.within is not None:
        num_steps = session.learner.rates.plan.steps_per_epoch
        return (
            f"paused in epoch {session.epoch}, after {session.within.num_steps} of its {num_steps} "
            "steps"
        )
    return (
        f"paused after epoch {session.epoch}" if session.epoch else "paused before its first step"
    )


def _keep(session: Session) -> None:
    assert session.keeper is not None
    if not session.reporter.settle():
        # What is done after the last state is done again, and then told.
        session.keeper.put_off()
        return
    if why_not := write_state(session):
        sentence = (
            f"What the run has come to cannot be written ({why_not}); it goes on, "
            "and could be resumed only from an earlier moment."
        )
        told: dict[str, Value] = {"task": "state", "state_note": sentence}
        session.reporter.emit("progress", session.epoch, 0, told)
