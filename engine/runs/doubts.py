"""Doubts about a data set, found once in a process of its own and kept. No torch.

A key stands for the pictures, their classes and where they lie, as corrected, and for the backbone;
not for how they are split. After a correction the key is another one, but features are known.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from engine.data.findings import Picture
from engine.data.intake import take_in
from engine.models.catalogue import DEFAULT_BACKBONE
from engine.runs.background import Work, WorkState, WorkStatus
from engine.spec import DataSpec, ModelSpec
from engine.training.doubts_record import Doubts

KIND = "doubts"
MODULE = "engine.runs.doubts_worker"
# Goes up when the same pictures would give other doubts.
EDITION = 1


@dataclass(frozen=True)
class DoubtsState:
    """How far the search for doubts is.

    Attributes:
        status: whether it goes on, and if not, how it ended.
        task: what is done now.
        done: how much of the task.
        total: of so much; 0 where that is not known.
        doubts: what was found; None before it is finished.
        reason: why it failed, in one sentence; else empty.
    """

    status: WorkStatus
    task: str = ""
    done: int = 0
    total: int = 0
    doubts: Doubts | None = None
    reason: str = ""

    @property
    def is_working(self) -> bool:
        """Whether it goes on."""
        return self.status == "working"


def doubts_work(key: str) -> Work:
    """Returns the search for the doubts of a key."""
    return Work(KIND, key, "Looking for doubts")


def doubts_key(data: DataSpec, backbone: str = DEFAULT_BACKBONE) -> str:
    """Returns the name under which the doubts of a data set are kept.

    Pictures that were opened before are not opened again.

    Raises:
        DataError: the images cannot be used.
        SpecError: there is no such backbone.
    """
    intake = take_in(data)
    found = intake.found
    return _key(
        (
            (str(path), found.classes[label], intake.verdicts[path].digest)
            for groups in (found.train, found.val or ())
            for label, paths in enumerate(groups)
            for path in paths
            if not intake.verdicts[path].reason
        ),
        backbone,
    )


def reported_key(pictures: Iterable[Picture], backbone: str = DEFAULT_BACKBONE) -> str:
    """Returns the same name, of the pictures that a report saw, without another look at them.

    Raises:
        SpecError: there is no such backbone.
    """
    return _key(((one.path, one.label, one.digest) for one in pictures), backbone)


def _key(pictures: Iterable[tuple[str, str, str]], backbone: str) -> str:
    name = ModelSpec.parse({"backbone": backbone}).backbone
    text = json.dumps([EDITION, name, sorted(pictures)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def doubts_state(key: str) -> DoubtsState | None:
    """Returns how the search for the doubts of a key stands, None where there was none."""
    state = doubts_work(key).state()
    if state is None:
        return None
    doubts = None
    if state.status == "finished":
        try:
            doubts = Doubts.from_dict(state.result or {})
        except (KeyError, TypeError):
            return None
    return DoubtsState(state.status, state.task, state.done, state.total, doubts, state.reason)


def known_doubts(key: str) -> Doubts | None:
    """Returns the doubts of a key where they were found before."""
    state = doubts_state(key)
    return None if state is None else state.doubts


def start_doubts(key: str, data: DataSpec, backbone: str = DEFAULT_BACKBONE) -> None:
    """Starts to look for doubts, unless that goes on already."""
    order = {"data": data.model_dump(), "backbone": backbone}
    doubts_work(key).start(MODULE, json.dumps(order))


def stop_doubts(key: str) -> None:
    """Asks the search to end; it does within a batch of pictures."""
    doubts_work(key).stop()


def keep_doubts(key: str, doubts: Doubts) -> None:
    """Keeps what was found for a key."""
    doubts_work(key).keep(WorkState("finished", "", result=doubts.to_dict()))
