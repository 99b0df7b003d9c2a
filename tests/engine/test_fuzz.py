"""Whatever a stranger sends becomes a picture or a data set, or a sentence that says why not."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from engine.data.archives import Unpacked, unpack
from engine.data.folders import find_images
from engine.data.manifest import build_manifest
from engine.data.report import inspect_folder
from engine.data.uploads import add_files, add_to_class, sketch_files
from engine.errors import DataError
from engine.spec import DataSpec
from tests.engine.hostile.archives import Archive, archives
from tests.engine.hostile.names import as_text, names
from tests.engine.hostile.seeds import seeds
from tests.engine.hostile.tables import Table, tables
from tests.engine.hostile.taking import Sent, assert_one_sentence, nothing_else, num_files, taken

ROOT = Path(__file__).parents[2]
# Of a decoder, with what it keeps meanwhile: a progressive JPEG of 120 megapixels is the worst.
MOST_MIB = 1536
# Of the processor's time: the machine may be busy.
MOST_SECONDS = 10

# Taking has bounds of its own, which are below this for what is sent here.
LARGEST_FILE = 256 * 2**20

World = Callable[[], AbstractContextManager[tuple[Path, Path]]]
Test = Callable[..., None]


def drawn(count: int, number: int) -> Callable[[Test], Callable[[], None]]:
    """Makes of a test one that is tried on so many examples, the same in every run."""
    how = settings(
        max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return lambda test: seed(number)(how(test))


def batches(few: int, many: int, num_batches: int) -> pytest.MarkDecorator:
    """Runs a test on a few examples, and where there is time on several batches of many."""
    slow = (pytest.param(many, n, marks=pytest.mark.slow) for n in range(1, num_batches + 1))
    return pytest.mark.parametrize(("count", "number"), [(few, 0), *slow])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Call it for a folder of its own and a home in it; waiting for the disk is left out.

    No file becomes larger than LARGEST_FILE: what should not be written does not fill the disk.
    """
    monkeypatch.setattr(os, "sync", lambda: None)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, before[1]))

    @contextlib.contextmanager
    def fresh() -> Iterator[tuple[Path, Path]]:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            home = Path(folder) / "home"
            monkeypatch.setenv("THAW_HOME", str(home))
            (home / "datasets").mkdir(parents=True)
            yield Path(folder), home.resolve()

    yield fresh
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---- pictures


def opened(folder: Path, *arguments: object, module: str = "decoding") -> dict[str, Any]:
    """Returns what came of pictures in a process of its own, which a crash would end."""
    command = [sys.executable, "-W", "always", "-m", f"tests.engine.hostile.{module}"]
    done = subprocess.run(
        [*command, str(folder), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    last = folder / "last.txt"
    told = last.read_text() if last.exists() else "nothing"
    assert done.returncode == 0, f"rc {done.returncode} at {told}\n{done.stderr[-3000:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@batches(60, 500, 6)
def test_a_picture_is_opened_or_refused_with_a_reason(
    tmp_path: Path, count: int, number: int
) -> None:
    found = opened(tmp_path, count, number)
    print(f"{found['count']} pictures:", found)
    assert found["faults"] == []
    assert found["count"] >= count
    assert found["outcomes"]["good"] > count / 20
    assert found["most_mib"] < MOST_MIB
    assert found["slowest_seconds"] < MOST_SECONDS


@pytest.mark.slow
def test_what_is_small_on_disk_and_large_in_memory_stays_within_bounds(tmp_path: Path) -> None:
    for kind, found in opened(tmp_path, module="bombs").items():
        print(f"{kind}: {found}")
        assert found["mib"] < MOST_MIB, kind
        assert found["seconds"] < MOST_SECONDS, kind


# ---- archives and uploads


@batches(80, 500, 4)
def test_an_archive_is_taken_in_whole_or_not_at_all(count: int, number: int, world: World) -> None:
    outcomes: Counter[str] = Counter()

    @drawn(count, number)
    @given(archives(seeds()["plain.png"]))
    def take_each(archive: Archive) -> None:
        outcomes[take_everywhere(archive, world)] += 1

    take_each()
    print(f"{outcomes.total()} archives:", dict(outcomes.most_common()))
    assert outcomes.total() >= count
    assert outcomes["taken"] > count / 20


def take_everywhere(archive: Archive, world: World) -> str:
    """Takes an archive in as a file and as an upload; returns what came of it."""
    with world() as (folder, home):
        file = folder / f"sent.{archive.suffix}"
        file.write_bytes(archive.content)
        sent = Sent(file.name, archive.content)
        with nothing_else(folder, home):
            unpacked = taken(lambda: unpack(file), home)
            added = taken(lambda: add_files([sent], "sent"), home)
            promised = sketched([sent])
        if isinstance(unpacked, str):
            assert isinstance(added, str)
            assert "File too large" not in unpacked + added
            return unpacked.partition(" ")[2].partition(" (")[0]
        assert isinstance(added, Unpacked)
        counts = (unpacked.num_pictures, unpacked.num_left_out)
        assert counts == (added.num_pictures, added.num_left_out)
        assert sum(counts) == num_files(archive.content)
        assert promised == unpacked.num_pictures
        return "taken"


def sketched(files: list[Sent]) -> int | str:
    """Returns how many pictures a sketch promises, or why it does not."""
    try:
        sketch = sketch_files(files)
    except DataError as error:
        assert_one_sentence(str(error))
        return str(error)
    assert_one_sentence(sketch.fault or "none")
    return sketch.num_pictures


@batches(40, 200, 3)
def test_loose_files_are_taken_in_whole_or_not_at_all(
    count: int, number: int, world: World
) -> None:
    outcomes: Counter[str] = Counter()
    texts = names().map(as_text)

    @drawn(count, number)
    @given(st.lists(texts, max_size=8), texts, texts)
    def take_each(files: list[str], name: str, class_name: str) -> None:
        sent = [Sent(one, seeds()["plain.png"]) for one in files]
        with world() as (folder, home), nothing_else(folder, home):
            added = taken(lambda: add_files(sent, name), home)
            outcomes["refused" if isinstance(added, str) else "taken"] += 1
            promised = sketched(sent)
            if isinstance(added, Unpacked):
                assert added.num_pictures + added.num_left_out == len(files)
                assert promised == added.num_pictures
                grown(added.folder, class_name, sent)
            taken(lambda: add_files(sent, name, class_name), home)

    take_each()
    print(f"{outcomes.total()} uploads:", dict(outcomes.most_common()))
    assert outcomes["taken"] > count / 5


def grown(folder: Path, class_name: str, files: list[Sent]) -> None:
    """Adds files to a class of a data set: as many as it says, or none."""
    before = {one for one in folder.rglob("*") if one.is_file()}
    count = 0
    try:
        count = add_to_class(folder, class_name, files).num_pictures
    except DataError as error:
        assert_one_sentence(str(error))
    after = {one for one in folder.rglob("*") if one.is_file()}
    assert after >= before
    assert len(after - before) == count


# ---- tables


@batches(100, 1000, 2)
def test_a_table_is_read_or_refused_with_a_sentence(count: int, number: int, world: World) -> None:
    outcomes: Counter[str] = Counter()
    with world() as (folder, _):
        for place, name in enumerate(("cats/0.png", "cats/1.png", "dogs/0.png", "dogs/1.png")):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(list(seeds().values())[place])

        @drawn(count, number)
        @given(tables())
        def read_each(table: Table) -> None:
            file = folder / f"sent.{table.suffix}"
            file.write_bytes(table.content)
            outcomes[looked_at(file)] += 1

        read_each()
    print(f"{outcomes.total()} tables:", dict(outcomes.most_common()))
    assert outcomes["read"] > count / 20


def looked_at(file: Path) -> str:
    """Reads a table as a report and a run do; returns what came of it."""
    try:
        find_images(file)
        inspect_folder(file)
        build_manifest(DataSpec(folder=str(file)))
    except DataError as error:
        assert_one_sentence(str(error))
        return "refused"
    return "read"
