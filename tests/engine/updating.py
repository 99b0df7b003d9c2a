"""Updates a small model in this process."""

from pathlib import Path

from engine.events import Value
from engine.spec import RunSpec
from engine.training.session import Session
from engine.training.setting_up import set_up
from engine.training.trainer import train
from tests.conftest import TINY_CLASSES, Recorder
from tests.engine.test_resume import told

NUM_OLD = len(TINY_CLASSES)


def session_of(spec: RunSpec, folder: Path) -> Session:
    folder.mkdir(exist_ok=True)
    return set_up(spec, folder, Recorder(), 0.0)


def trained(spec: RunSpec, folder: Path) -> tuple[Recorder, dict[int, dict[str, Value]]]:
    folder.mkdir(exist_ok=True)
    recorder = Recorder()
    train(spec, folder, recorder)
    return recorder, told(recorder)


def facts(recorder: Recorder) -> dict[str, Value]:
    [found] = [one.values for one in recorder.events if one.values.get("task") == "update"]
    return dict(found)
