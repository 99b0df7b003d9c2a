"""Training that does not measure its stages, to hold against training that does."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from engine.training import loop, trainer
from engine.training.drift import WeightsBefore
from engine.training.representation import Watch
from engine.training.session import Session


@contextmanager
def unmeasured() -> Iterator[None]:
    """Switches off all that is measured of stages, for a while."""

    def nothing(*_: Any) -> dict[str, Any]:
        return {}

    def watch(session: Session, _: Any) -> Watch:
        return Watch(session.judged.backbone, {}, None)

    with ExitStack() as undone:
        undone.enter_context(patch.object(loop, "gradient_norms", nothing))
        undone.enter_context(patch.object(trainer, "layer_values", nothing))
        undone.enter_context(patch.object(trainer, "watch_stages", watch))
        undone.enter_context(patch.object(WeightsBefore, "keep", lambda *_: None))
        yield
