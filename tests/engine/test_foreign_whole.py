"""A run from elsewhere comes in whole or not at all, whatever happens meanwhile."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.insight.compare import report
from engine.runs import importing, unpacking
from engine.runs.importing import MARK, import_file
from engine.runs.store import Store
from tests.engine.foreign import Members, is_empty, members, put, refused, sound, store
from tests.engine.hostile.run_files import (
    packed,
    with_document,
)

__all__ = ["members", "sound", "store"]


def test_no_room_is_said_before_anything_is_written(
    sound: Path, store: Store, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(thaw_home)._replace(free=unpacking.KEEP_FREE)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "would fill the disk" in refused(store, sound, thaw_home)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from engine.errors import RunFileError
from engine.runs.importing import import_file
from engine.runs.store import Store
store = Store()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    import_file(store, Path(sys.argv[1]))
except RunFileError as error:
    print(error)
    sys.exit(3)
"""


@pytest.mark.skipif(os.name == "nt", reason="no such limits")
@pytest.mark.parametrize("limit", [0, 100, 5_000, None])
def test_a_disk_that_is_full_leaves_nothing(
    limit: int | None, members: Members, store: Store, thaw_home: Path, tmp_path: Path
) -> None:
    """No file may grow beyond the limit; the last of them is that of the rows."""
    long = with_document(members, put("run.note", "why " * 20_000))
    file = packed(long, tmp_path / "sound.thaw")
    if limit is None:
        limit = (thaw_home / "thaw.db").stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(file), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "cannot be brought in" in done.stdout
    assert is_empty(store, thaw_home)


KILLED = """
import os, sys
from pathlib import Path
from engine.runs import importing
from engine.runs.store import Store
def die(*_):
    os._exit(9)
if sys.argv[2] == "before":
    importing.insert_run = die
else:
    importing.Imported = die
    real = Path.unlink
    Path.unlink = lambda self, **named: None if self.name == importing.MARK else real(self, **named)
importing.import_file(Store(), Path(sys.argv[1]))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_kill_leaves_is_cleared_by_the_next(
    when: str, sound: Path, store: Store, thaw_home: Path
) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(sound), when], check=False)
    assert done.returncode == 9
    [left] = [one for one in (thaw_home / "runs").iterdir() if not one.name.startswith(".")]
    assert (left / MARK).is_file()
    assert len(store.all_runs()) == (0 if when == "before" else 1)
    imported = import_file(store, sound)
    assert imported.outcome == ("added" if when == "before" else "known")
    assert imported.run.id == left.name
    assert not (left / MARK).exists()
    assert len(report(store, imported.run).epochs) == 3


def test_what_was_left_in_parts_goes_after_a_day(
    sound: Path, store: Store, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young = (thaw_home / "runs" / f".{name}.part" for name in ("old", "young"))
    for part in (old, young):
        part.mkdir(parents=True)
    yesterday = time.time() - importing.ABANDONED_SECONDS - 60
    os.utime(old, (yesterday, yesterday))
    import_file(store, sound)
    assert not old.exists()
    assert young.exists()


def test_rows_that_cannot_be_written_take_the_folder_with_them(
    sound: Path, store: Store, thaw_home: Path
) -> None:
    with store.engine.connect() as connection:
        connection.exec_driver_sql(
            "create trigger no_more before insert on events begin "
            "select raise(abort, 'no more events'); end"
        )
        connection.commit()
    text = refused(store, sound, thaw_home)
    assert "no more events" in text


def test_many_at_once_come_in_once(sound: Path, store: Store, thaw_home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.runs.store import Store; "
        "from engine.runs.importing import import_file; "
        "print(import_file(Store(), Path(sys.argv[1])).outcome)"
    )
    command = [sys.executable, "-c", code, str(sound)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outcomes = sorted(one.communicate()[0].strip() for one in started)
    assert outcomes == ["added", "known", "known", "known"]
    assert len(store.all_runs()) == 1
    assert len(list((thaw_home / "runs").iterdir())) == 1
