"""Faults of the machine: no memory, no room on a disk, nothing writable, a clock that is set back.

As in `faults`, each causes one and says what became of the run.
"""

import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.home import run_folder, thaw_home
from engine.runs import trash
from engine.runs.queue import mark_interrupted
from engine.runs.store import Run, Store
from engine.spec import RunSpec
from engine.training.state import state_files
from tests.chaos.stage import (
    TRUTHFUL_SECONDS,
    Stage,
    kill_all,
    require,
    require_same,
    wait_until,
)

# Root without these capabilities is bound by permissions as anybody is.
BOUND = """
import ctypes, os
if os.getuid() == 0:
    libc = ctypes.CDLL(None)
    version, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(version, sets) == 0
    dac_override_and_read_search = 0b110
    sets[0] &= ~dac_override_and_read_search
    sets[1] &= ~dac_override_and_read_search
    assert libc.capset(version, sets) == 0
"""
SHORT_PATIENCE = "from engine.runs import patience\npatience.NO_ROOM_SECONDS = 3.0\n"
SMALL_DISK_MIB = 220


def memory_short(stage: Stage) -> str:
    """From the first step on the system grants a process 300 MiB more than it has."""
    values = stage.spec(epochs=3).model_dump()
    values["images"]["size"] = 160
    values["training"]["batch_size"] = 24
    spec = RunSpec.parse(values)
    run = stage.add(spec, "no memory")
    prelude = """
import psutil, resource
from engine.training import trainer
real = trainer.train_one_epoch
def narrow(*arguments):
    room = psutil.Process().memory_info().vms + 300 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
    return real(*arguments)
trainer.train_one_epoch = narrow
"""
    ended = stage.finish(run, prelude)
    require(ended.status == "finished", f"the run is {ended.status}: {ended.reason}")
    notes = ended.summary.get("memory_notes", [])
    found = [re.search(r"computed in (\d+) parts", note) for note in notes]
    parts = [int(match[1]) for match in found if match]
    require(parts, f"nobody was told that memory ran out: {notes}")
    # Where memory ran out in a later step the steps before it were taken in fewer parts.
    by_hand = RunSpec.parse(values | {"training": values["training"] | {"accumulation": parts[0]}})
    first = stage.finish(stage.add(by_hand, "by hand"))
    if len(parts) == 1 and _first_note_step(stage, ended) == 1:
        require_same(stage, ended, first)
        return f"in {parts[0]} parts from the first step on; bit for bit as if asked for"
    return f"in {parts} parts; finished"


def _first_note_step(stage: Stage, run: Run) -> int:
    events = stage.store.events_of_kind(run.id, "progress")
    return next(event.step for event in events if "memory_note" in event.values)


def all_states_damaged(stage: Stage) -> str:
    """Both states of a run that was interrupted are damaged on disk."""
    spec = stage.spec(epochs=8)
    whole = stage.unbroken(spec)
    run = stage.add(spec, "all damaged")
    with stage.worker() as process:
        wait_until(lambda: len(stage.store.epochs(run.id)) >= 3, 120, "three epochs")
        kill_all(process)
    mark_interrupted(stage.store)
    files = state_files(run_folder(run.id))
    require(len(files) == 2, f"there are {len(files)} states")
    for file in files:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 255
        file.write_bytes(content)
    stage.store.reopen(run.id)
    require_same(stage, stage.finish(run), whole)
    told = _notes(stage, run)
    require(sum("is damaged" in note for note in told) == 2, f"nobody was told: {told}")
    require(any("begins anew" in note for note in told), f"that it begins anew is not told: {told}")
    return "both were told of, it began anew; bit for bit the same"


def _notes(stage: Stage, run: Run) -> list[str]:
    events = stage.store.events_of_kind(run.id, "progress")
    return [str(one.values["state_note"]) for one in events if "state_note" in one.values]


def run_folder_read_only(stage: Stage) -> str:
    """The run's folder cannot be written any more while it trains; then it can."""
    spec = stage.spec(epochs=8)
    whole = stage.unbroken(spec)
    run = stage.add(spec, "read-only folder")
    with stage.worker(BOUND) as process:
        wait_until(lambda: len(stage.store.epochs(run.id)) >= 2, 120, "two epochs")
        run_folder(run.id).chmod(0o555)
        process.wait(200)
        run_folder(run.id).chmod(0o755)
    mark_interrupted(stage.store)
    ended = stage.store.run(run.id)
    require(ended.status == "failed", f"the run is {ended.status}: {ended.reason}")
    require("cannot be" in ended.reason and "\n" not in ended.reason, ended.reason)
    stage.store.reopen(run.id)
    require_same(stage, stage.finish(run), whole)
    return f"failed: {ended.reason[:50]}…; resumed, bit for bit the same"


def home_read_only(stage: Stage) -> str:
    """Nothing in THAW_HOME can be written any more, the store neither; then it can."""
    spec = stage.spec(epochs=8)
    whole = stage.unbroken(spec)
    run = stage.add(spec, "read-only home")
    with stage.worker(BOUND + SHORT_PATIENCE) as process:
        wait_until(lambda: len(stage.store.epochs(run.id)) >= 2, 120, "two epochs")
        modes = {path: path.stat().st_mode for path in [thaw_home(), *thaw_home().rglob("*")]}
        for path in modes:
            path.chmod(0o555 if path.is_dir() else 0o444)
        process.wait(200)
        for path, mode in modes.items():
            path.chmod(mode)
    return _resumed_truthfully(stage, run, whole)


def _resumed_truthfully(stage: Stage, run: Run, whole: Run) -> str:
    started = time.monotonic()
    mark_interrupted(stage.store)
    ended = stage.store.run(run.id)
    require(ended.status in ("failed", "interrupted"), f"the run is {ended.status}")
    require(ended.reason and "\n" not in ended.reason, "there is no sentence")
    require(time.monotonic() - started < TRUTHFUL_SECONDS, "that took too long")
    _require_sound(stage)
    stage.store.reopen(run.id)
    require_same(stage, stage.finish(run), whole)
    return f"{ended.status}: {ended.reason[:50]}…; resumed, bit for bit the same"


def _require_sound(stage: Stage) -> None:
    with stage.store.engine.connect() as connection:
        sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    require(sound == "ok", f"the store is {sound}")


def small_disk_full(stage: Stage) -> str:
    """THAW_HOME is on a disk of its own, which is full for a while; the run waits."""
    with _small_disk(stage) as why_not:
        if why_not:
            return why_not
        spec = stage.spec(epochs=12)
        whole = stage.unbroken(spec)
        run = stage.add(spec, "full for a while")
        with stage.worker() as process:
            wait_until(lambda: stage.steps(run) > 20, 90, "training")
            filler = _fill(stage)
            before = stage.steps(run)
            time.sleep(5)
            require(process.poll() is None, "the process gave up")
            require(stage.store.run(run.id).status == "running", "the status is not true")
            held = stage.steps(run)
            filler.unlink()
            process.wait(200)
        mark_interrupted(stage.store)
        _require_sound(stage)
        ended = stage.store.run(run.id)
        if ended.status == "finished":
            require_same(stage, ended, whole)
            return f"it waited ({held - before} steps were told meanwhile) and finished the same"
        require(ended.status == "failed" and "\n" not in ended.reason, ended.reason)
        stage.store.reopen(run.id)
        require_same(stage, stage.finish(run), whole)
        return f"failed: {ended.reason[:50]}…; resumed, bit for bit the same"


def small_disk_stays_full(stage: Stage) -> str:
    """THAW_HOME is on a disk of its own, which fills up and stays full until the run gives up."""
    with _small_disk(stage) as why_not:
        if why_not:
            return why_not
        spec = stage.spec(epochs=8)
        whole = stage.unbroken(spec)
        run = stage.add(spec, "full")
        with stage.worker(SHORT_PATIENCE) as process:
            wait_until(lambda: len(stage.store.epochs(run.id)) >= 2, 120, "two epochs")
            filler = _fill(stage)
            told = len(stage.store.epochs(run.id))
            process.wait(200)
            # The store can be read, and what was told is there.
            require(len(stage.store.epochs(run.id)) >= told, "epochs were lost")
            filler.unlink()
        return _resumed_truthfully(stage, run, whole)


@contextmanager
def _small_disk(stage: Stage) -> Iterator[str]:
    """Puts THAW_HOME on a small disk of its own; gives why it could not, empty where it could."""
    place = stage.folder / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MIB}m", "tmpfs", str(place)]
    if shutil.which("mount") is None or os.getuid() != 0:
        yield "skipped: only root can mount a disk"
        return
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        yield f"skipped: no disk can be mounted here ({mounted.stderr.strip()})"
        return
    stage.store.close()
    os.environ["THAW_HOME"] = str(place / "home")
    stage.store = Store()
    try:
        yield ""
    finally:
        stage.store.close()
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def _fill(stage: Stage) -> Path:
    """Takes all the room that is left on the disk of THAW_HOME."""
    filler = thaw_home() / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def clock_set_back(stage: Stage) -> str:
    """The clock goes back by an hour while a run trains, for it and for those who look."""
    spec = stage.spec(epochs=8)
    whole = stage.unbroken(spec)
    thrown = stage.add(spec, "thrown away")
    stage.store.request_stop(thrown.id)
    require(stage.store.delete(thrown.id), "the run could not be thrown away")
    run = stage.add(spec, "clock")
    prelude = """
import time
from engine.training import trainer
real_time, real = time.time, trainer.train_one_epoch
def back(epoch, *rest):
    if epoch == 3:
        time.time = lambda: real_time() - 3600.0
    return real(epoch, *rest)
trainer.train_one_epoch = back
"""
    real_time = time.time
    with stage.worker(prelude) as process:
        wait_until(lambda: len(stage.store.epochs(run.id)) >= 3, 120, "three epochs")
        try:
            for offset in (-3600.0, 3600.0):
                time.time = lambda by=offset: real_time() + by  # type: ignore[assignment, misc]
                require(not mark_interrupted(stage.store), "a run that lives was taken for dead")
                require(not trash.empty_trash(stage.store), "the trash was emptied early")
        finally:
            time.time = real_time
        kill_all(process)
    try:
        time.time = lambda: real_time() - 3600.0
        require(mark_interrupted(stage.store) == [run.id], "the kill was not noticed")
    finally:
        time.time = real_time
    stage.store.reopen(run.id)
    ended = stage.finish(run, prelude)
    require_same(stage, ended, whole)
    elapsed = [float(e.values["elapsed_seconds"] or -1) for e in stage.store.epochs(run.id)]
    require(elapsed == sorted(elapsed) and elapsed[0] > 0, f"elapsed seconds are {elapsed}")
    require(ended.summary["seconds"] > 0, "the run took less than no time")
    return "alive, dead and trash were told apart; elapsed seconds never fell"


def killed_in_a_commit(stage: Stage, commits: int = 12, seed: int = 0) -> str:
    """The worker is killed as it begins to commit to the store, or some microseconds later."""
    drawn = random.Random(seed)
    spec = stage.spec()
    whole = stage.unbroken(spec)
    run = stage.add(spec, "killed in a commit")
    journal = thaw_home() / "thaw.db-journal"
    killed = cut_off = 0
    for number in range(commits):
        # Every other time it dies with a transaction that is written in part, for certain.
        delay = drawn.uniform(0, 2e-3) if number % 2 else 0.0
        prelude = f"""
import os, signal, threading, time
from sqlalchemy import Engine, event
count = 0
def die():
    until = time.perf_counter() + {delay}
    while time.perf_counter() < until:
        pass
    os.kill(os.getpid(), signal.SIGKILL)
@event.listens_for(Engine, "begin")
def small(connection):
    # So that pages are written to the database before the commit.
    connection.exec_driver_sql("PRAGMA cache_size = 2")
@event.listens_for(Engine, "commit")
def commit(connection):
    global count
    count += 1
    if count == {drawn.randrange(8, 60)}:
        threading.Thread(target=die).start() if {delay} else die()
"""
        with stage.worker(prelude) as process:
            process.wait(300)
        cut_off += journal.stat().st_size > 0
        mark_interrupted(stage.store)
        ended = stage.store.run(run.id)
        _require_sound(stage)
        if ended.status == "finished":
            break
        require(ended.status == "interrupted", f"the run is {ended.status}: {ended.reason}")
        killed += 1
        require(stage.store.reopen(run.id), "the run could not be resumed")
    ended = stage.store.run(run.id)
    if ended.status != "finished":
        ended = stage.finish(run)
    require_same(stage, ended, whole)
    require(cut_off, "no transaction was really cut off")
    return f"{cut_off} transactions cut off in {killed} kills, all sound; bit for bit the same"
