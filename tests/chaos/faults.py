"""Faults, one a function: each causes one, and says what became of the run.

Raises WrongOutcomeError where that is not what should have become of it.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from functools import partial

from engine.home import run_folder, thaw_home
from engine.runs.process import machine_name, process_started
from engine.runs.queue import enqueue, mark_interrupted, tend
from engine.training.state import state_files
from tests.chaos.stage import (
    TRUTHFUL_SECONDS,
    Stage,
    children_of,
    kill_all,
    require,
    require_same,
    wait_until,
)
from tests.serving import Dashboard

STRATEGIES = ("frozen", "full", "gradual", "lp_ft")


def killed_at_random(stage: Stage, strategy: str, moments: int, seed: int = 0) -> str:
    """The worker is killed again and again, each time resumed; then left to end."""
    drawn = random.Random(f"{strategy}{seed}")
    spec = stage.spec(strategy)
    whole = stage.unbroken(spec)
    run = stage.add(spec, "killed")
    for _ in range(moments):
        with stage.worker() as process:
            # From the import of PyTorch to the last epoch.
            seconds = drawn.uniform(0.5, 9.0)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                kill_all(process)
        # One that died before it said who it was is known by its silence.
        wait_until(partial(_is_told, stage, run.id), TRUTHFUL_SECONDS, "told that it was killed")
        if stage.store.run(run.id).status == "finished":
            break
        require(stage.store.run(run.id).status == "interrupted", "the kill was not noticed")
        require(stage.store.reopen(run.id), "the run could not be resumed")
    ended = stage.store.run(run.id)
    if ended.status != "finished":
        ended = stage.finish(run)
    require_same(stage, ended, whole)
    return f"resumed after {moments} kills, bit for bit the same"


def _is_told(stage: Stage, run_id: str) -> bool:
    mark_interrupted(stage.store)
    return not stage.store.run(run_id).is_active


def paused_at_random(stage: Stage, strategy: str, moments: int, seed: int = 1) -> str:
    """The run is paused again and again, each time resumed; then left to end."""
    drawn = random.Random(f"{strategy}{seed}")
    spec = stage.spec(strategy)
    whole = stage.unbroken(spec)
    run = stage.add(spec, "paused")
    for _ in range(moments):
        with stage.worker() as process:
            time.sleep(drawn.uniform(0.5, 9.0))
            asked = stage.store.request_pause(run.id)
            process.wait(120)
        status = stage.store.run(run.id).status
        if status == "finished":
            break
        require(asked and status == "paused", f"the run is {status}")
        require(stage.store.reopen(run.id), "the run could not be resumed")
    ended = stage.store.run(run.id)
    if ended.status != "finished":
        ended = stage.finish(run)
    require_same(stage, ended, whole)
    return f"resumed after {moments} pauses, bit for bit the same"


def killed_in_a_write(stage: Stage, seed: int = 0) -> str:
    """The worker kills itself in the middle of writing a state and the best weights."""
    spec = stage.spec()
    whole = stage.unbroken(spec)
    run = stage.add(spec, "killed in a write")
    for number in range(1, 5):
        # The file is half written, and not yet renamed, when the process dies.
        prelude = f"""
import os, signal
from engine.training import checkpoint, state
count = 0
def dying(real):
    def save(tensors, file, *rest):
        global count
        count += 1
        real(tensors, file, *rest)
        if count == {number}:
            with open(file, "r+b") as torn:
                torn.truncate(os.path.getsize(file) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
    return save
checkpoint.save_file = dying(checkpoint.save_file)
state.save_file = dying(state.save_file)
"""
        ended = stage.finish(run, prelude)
        require(ended.status == "interrupted", f"the run is {ended.status}: {ended.reason}")
        stage.store.reopen(run.id)
    require_same(stage, stage.finish(run), whole)
    return "4 torn files, none was taken for a whole one; bit for bit the same"


def dashboard_killed(stage: Stage) -> str:
    """The dashboard is killed while a run that it shows goes on; a new one is started."""
    dashboard = Dashboard(thaw_home())
    dashboard.start()
    try:
        [run] = enqueue(stage.store, [("watched", stage.spec(epochs=10))])
        wait_until(lambda: stage.steps(run) > 4, 90, "training")
        dashboard.kill()
        before = stage.steps(run)
        wait_until(lambda: stage.steps(run) > before + 3, 60, "going on without the dashboard")
        dashboard.start()
        wait_until(lambda: not stage.store.run(run.id).is_active, 180, "ended")
    finally:
        dashboard.stop()
    require(stage.store.run(run.id).status == "finished", stage.store.run(run.id).reason)
    return "the run went on and finished"


def everything_killed(stage: Stage) -> str:
    """Dashboard, supervisor and worker die at once, as in a power cut; then Thaw is started."""
    spec = stage.spec(epochs=10)
    whole = stage.unbroken(spec)
    dashboard = Dashboard(thaw_home())
    dashboard.start()
    [run] = enqueue(stage.store, [("cut off", spec)])
    wait_until(lambda: stage.steps(run) > 12, 90, "training")
    pid = stage.store.run(run.id).pid
    assert pid is not None
    subprocess.run(["pkill", "-9", "-f", "engine.runs.supervisor"], check=False)
    dashboard.kill()
    os.killpg(pid, signal.SIGKILL)
    started = time.monotonic()
    dashboard.start()
    try:
        wait_until(
            lambda: stage.store.run(run.id).status == "interrupted", TRUTHFUL_SECONDS, "noticed"
        )
        noticed = time.monotonic() - started
        ended = stage.finish_resumed(run)
    finally:
        dashboard.stop()
    require_same(stage, ended, whole)
    return f"interrupted is told {noticed:.1f} s after Thaw is back; resumed, bit for bit the same"


def supervisor_killed(stage: Stage) -> str:
    """The process that starts runs is killed; the run goes on, and the next one starts."""
    first, second = enqueue(
        stage.store, [("first", stage.spec()), ("second", stage.spec("frozen"))]
    )
    wait_until(lambda: stage.steps(first) > 3, 90, "training")
    subprocess.run(["pkill", "-9", "-f", "engine.runs.supervisor"], check=False)
    before = stage.steps(first)
    wait_until(lambda: stage.steps(first) > before + 2, 60, "going on")
    from engine.runs.queue import tend

    def all_ended() -> bool:
        tend(stage.store)
        return not any(stage.store.run(one.id).is_active for one in (first, second))

    wait_until(all_ended, 240, "ended")
    statuses = [stage.store.run(one.id).status for one in (first, second)]
    require(statuses == ["finished", "finished"], f"the runs are {statuses}")
    return "the run went on; whoever looks next starts the one that waited"


def store_locked(stage: Stage) -> str:
    """Another process holds the database locked for ten seconds."""
    run = stage.add(stage.spec())
    with stage.worker() as process:
        wait_until(lambda: stage.steps(run) > 2, 90, "training")
        holder = sqlite3.connect(thaw_home() / "thaw.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        time.sleep(10)
        holder.execute("COMMIT")
        holder.close()
        process.wait(300)
    require(stage.store.run(run.id).status == "finished", stage.store.run(run.id).reason)
    epochs = [event.epoch for event in stage.store.epochs(run.id)]
    require(epochs == list(range(1, 7)), f"epochs {epochs} are in the store")
    return "it waited, and told of every epoch"


def disk_full(stage: Stage) -> str:
    """No file of more than 100 KiB can be written any more; then there is room again."""
    spec = stage.spec()
    whole = stage.unbroken(spec)
    run = stage.add(spec, "no room")
    prelude = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from engine.training import trainer
real = trainer.set_up
def narrow(*arguments, **more):
    session = real(*arguments, **more)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100 * 1024, resource.RLIM_INFINITY))
    return session
trainer.set_up = narrow
"""
    ended = stage.finish(run, prelude)
    require(ended.status == "failed", f"the run is {ended.status}")
    require("\n" not in ended.reason and ended.reason, "there is no sentence")
    stage.store.reopen(run.id)
    require_same(stage, stage.finish(run), whole)
    return f"failed: {ended.reason[:60]}…; resumed, bit for bit the same"


def data_removed(stage: Stage) -> str:
    """The folder of images goes away while they are read, and comes back."""
    spec = stage.spec(epochs=8)
    whole = stage.unbroken(spec)
    run = stage.add(spec, "no images")
    away = stage.folder / "away"
    # So that every picture is read from its file.
    prelude = "import os; os.environ['THAW_CACHE_GIB'] = '0'\n"
    shutil.rmtree(thaw_home() / "cache", ignore_errors=True)
    with stage.worker(prelude) as process:
        wait_until(lambda: stage.steps(run) > 8, 90, "training")
        stage.photos.rename(away)
        process.wait(120)
    ended = stage.store.run(run.id)
    away.rename(stage.photos)
    if ended.status == "finished":
        return "the pictures had been decoded before: it finished"
    require(ended.status == "failed", f"the run is {ended.status}")
    stage.store.reopen(run.id)
    require_same(stage, stage.finish(run), whole)
    return f"failed: {ended.reason[:60]}…; resumed, bit for bit the same"


def loader_killed(stage: Stage) -> str:
    """A process that decodes pictures is killed."""
    spec = stage.spec(epochs=8)
    whole = stage.unbroken(spec)
    run = stage.add(spec, "no loader")
    with stage.worker() as process:
        wait_until(lambda: stage.steps(run) > 8, 90, "training")
        victims = children_of(process)
        require(victims, "there is no such process")
        victims[0].kill()
        process.wait(120)
    ended = stage.store.run(run.id)
    require(ended.status == "failed", f"the run is {ended.status}: {ended.reason}")
    stage.store.reopen(run.id)
    require_same(stage, stage.finish(run), whole)
    return f"failed: {ended.reason[:60]}…; resumed, bit for bit the same"


def helpers_orphaned(stage: Stage) -> str:
    """The trainer alone is killed; what it had started must not stay."""
    run = stage.add(stage.spec(epochs=8))
    with stage.worker() as process:
        wait_until(lambda: stage.steps(run) > 6, 90, "training")
        helpers = children_of(process)
        require(helpers, "there are no helpers")
        process.send_signal(signal.SIGKILL)
        process.wait()
        took = wait_until(
            lambda: not any(one.is_running() and one.status() != "zombie" for one in helpers),
            TRUTHFUL_SECONDS,
            "gone",
        )
    require(mark_interrupted(stage.store) == [run.id], "the kill was not noticed")
    return f"{len(helpers)} helpers were gone {took:.1f} s later"


def checkpoint_damaged(stage: Stage) -> str:
    """The newest state of a run that was interrupted is damaged on disk."""
    spec = stage.spec(epochs=8)
    whole = stage.unbroken(spec)
    run = stage.add(spec, "damaged")
    with stage.worker() as process:
        wait_until(lambda: len(stage.store.epochs(run.id)) >= 3, 120, "three epochs")
        kill_all(process)
    mark_interrupted(stage.store)
    newest = state_files(run_folder(run.id))[0]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 255
    newest.write_bytes(content)
    stage.store.reopen(run.id)
    ended = stage.finish(run)
    require_same(stage, ended, whole)
    notes = [
        event.values["state_note"]
        for event in stage.store.events(run.id)
        if "state_note" in event.values
    ]
    require(notes and "is damaged" in str(notes[0]), "nobody was told")
    return "it was told, and the one before was used; bit for bit the same"


def stranger_with_its_number(stage: Stage) -> str:
    """After a reboot another process has the number of the one that trained."""
    run = stage.add(stage.spec())
    stage.store.claim_next(1, machine_name())
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        started = process_started(stranger.pid)
        assert started is not None
        stage.store.set_process(run.id, machine_name(), stranger.pid, started - 3600)
        require(mark_interrupted(stage.store) == [run.id], "the stranger was taken for the run")
        stage.store.request_stop(run.id)
        time.sleep(1)
        require(stranger.poll() is None, "the stranger was killed")
    finally:
        stranger.kill()
        stranger.wait()
    return "interrupted; the stranger was left alone"


def hangs(stage: Stage) -> str:
    """Training hangs in a step, and a person asks it to stop."""
    run = stage.add(stage.spec(epochs=8))
    os.environ["THAW_STOP_SECONDS"] = "3"
    prelude = """
import time
from engine.training import loop
real = loop.StepLog.add
def stuck(self, epoch, step, *rest):
    real(self, epoch, step, *rest)
    if step > 12:
        time.sleep(600)
loop.StepLog.add = stuck
"""
    try:
        with stage.worker(prelude) as process:
            wait_until(lambda: stage.steps(run) > 12, 90, "training")
            helpers = children_of(process)
            stage.store.request_stop(run.id)
            took = wait_until(
                lambda: tend(stage.store) or process.poll() is not None, TRUTHFUL_SECONDS, "gone"
            )
            for helper in helpers:
                helper.wait(TRUTHFUL_SECONDS)
    finally:
        del os.environ["THAW_STOP_SECONDS"]
    ended = stage.store.run(run.id)
    require(ended.status == "stopped", f"the run is {ended.status}: {ended.reason}")
    require("did not stop within 3 seconds" in ended.reason, ended.reason)
    stage.store.reopen(run.id)
    require(stage.finish(run).status == "finished", "it could not be resumed")
    return f"its {1 + len(helpers)} processes were ended {took:.1f} s later; resumed"


def many_writers(stage: Stage) -> str:
    """Five readers and a person who marks runs, while a run writes: no lock error, all sound."""
    run = stage.add(stage.spec(epochs=8))
    errors: list[Exception] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                stage.store.all_runs()
                stage.store.events(run.id)
                stage.store.mark(run.id, note=str(time.time()))
            except Exception as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=look) for _ in range(5)]
    for thread in threads:
        thread.start()
    ended = stage.finish(run)
    done.set()
    for thread in threads:
        thread.join()
    require(not errors, f"{errors[:1]}")
    require(ended.status == "finished", ended.reason)
    with stage.store.engine.connect() as connection:
        sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    require(sound == "ok", f"the store is {sound}")
    return "no error, integrity ok"
