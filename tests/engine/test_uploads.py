"""Files from a browser: sketched by their names, then taken in whole or not at all."""

import errno
import io
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from engine.data import taking
from engine.data.report import inspect_folder
from engine.data.uploads import Upload, add_files, add_to_class, sketch_files
from engine.errors import DataError
from tests.engine.hostile.taking import Sent
from tests.engine.pictures import distinct_pictures


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return distinct_pictures(tmp_path / "pets", {"cats": 3, "dogs": 2})


def sent(folder: Path, above: Path | None = None) -> list[Upload]:
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    return [
        Sent(file.relative_to(above or folder.parent).as_posix(), file.read_bytes())
        for file in files
    ]


def as_zip(files: list[Upload], name: str = "pets.zip") -> Sent:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in files:
            archive.writestr(file.name, bytes(file.getbuffer()))
    return Sent(name, content.getvalue())


def left(home: Path) -> list[str]:
    """Names of all data sets, and of what should have been cleared away."""
    folder = home / "datasets"
    return sorted(one.name for one in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("packed", [True, False])
def test_a_folder_and_its_zip_are_sketched_and_taken_in(
    photos: Path, thaw_home: Path, packed: bool
) -> None:
    (photos / "notes.txt").write_text("a note")
    files = sent(photos)
    files = [as_zip(files)] if packed else files
    sketch = sketch_files(files)
    assert sketch.classes == (("cats", 3, 0), ("dogs", 2, 0))
    assert (sketch.num_pictures, sketch.num_left_out, sketch.fault) == (5, 1, "")
    assert sketch.notes == ("The classes are those in pets/, the only folder.",)
    assert left(thaw_home) == []
    added = add_files(files, "my pets")
    assert added.folder == thaw_home / "datasets" / "my pets"
    assert (added.num_pictures, added.num_left_out) == (5, 1)
    assert inspect_folder(added.folder).fingerprint == inspect_folder(photos).fingerprint
    # What was sent can be read again.
    assert sketch_files(files) == sketch


def test_a_split_is_seen_in_the_sketch(photos: Path) -> None:
    files = [*sent(photos), *sent(photos)]
    for place, file in enumerate(files):
        split = "train" if place < 5 else "validation"
        file.name = file.name.replace("pets", f"pets/{split}")  # type: ignore[misc]
    assert sketch_files(files).classes == (("cats", 3, 3), ("dogs", 2, 2))


def test_loose_pictures_get_a_class_and_grow_into_a_data_set(photos: Path, thaw_home: Path) -> None:
    cats, dogs = (sent(photos / name, photos / name) for name in ("cats", "dogs"))
    assert sketch_files(cats).needs_class
    folder = add_files(cats, "pets", "cats").folder
    add_to_class(folder, "dogs", dogs)
    assert inspect_folder(folder).fingerprint == inspect_folder(photos).fingerprint
    more = sent(distinct_pictures(photos.parent / "more", {"x": 9}) / "x")[7:]
    for _ in range(2):
        added = add_to_class(
            folder, "dogs", [Sent(Path(one.name).name, bytes(one.getbuffer())) for one in more]
        )
    assert (added.folder, added.num_pictures) == (folder, 2)
    assert inspect_folder(folder).classes == (("cats", 3, 0), ("dogs", 6, 0))
    assert left(thaw_home) == ["pets"]


def test_a_class_name_is_a_folder_and_leads_nowhere(photos: Path, thaw_home: Path) -> None:
    cats = sent(photos / "cats", photos / "cats")
    folder = add_files(cats, "../up", "../../etc/<b>cats</b>").folder
    assert folder.parent == thaw_home / "datasets"
    [inside] = folder.iterdir()
    assert [one.suffix for one in inside.iterdir()] == [".png"] * 3
    add_to_class(folder, "..", cats)
    assert all(one.parent == folder for one in folder.iterdir())
    assert left(thaw_home) == [folder.name]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a.zip", "b.png"], "a.zip is an archive and came with other files"),
        (["notes.txt"], "There is no picture among the files"),
        (["../../a.png", "/etc/b.png", "c/.hidden.png"], "There is no picture among the files"),
    ],
)
def test_what_cannot_be_taken_leaves_nothing(
    thaw_home: Path, tmp_path: Path, names: list[str], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        add_files([Sent(name, b"x") for name in names], "x")
    assert left(thaw_home) == []
    assert not list(tmp_path.rglob("*.png"))


def test_what_a_sketch_says_of_what_will_not_do(photos: Path) -> None:
    assert sketch_files([Sent("a.txt", b"x")]).fault == "There are no pictures in it."
    one = sketch_files([Sent("only/cats/a.png", b"x")])
    assert "has only the class" in one.fault
    assert "/tmp" not in one.fault
    with pytest.raises(DataError, match=r"x\.zip is no archive that can be read"):
        sketch_files([Sent("x.zip", b"nothing")])
    torn = as_zip(sent(photos)).getvalue()[:-30]
    with pytest.raises(DataError, match=r"x\.zip is no archive that can be read, or is damaged"):
        sketch_files([Sent("x.zip", torn)])


def test_a_disk_that_fills_leaves_nothing_half_registered(
    photos: Path, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = taking._write, 0

    def write(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments)

    whole = add_files(sent(photos), "whole").folder
    before = sorted(whole.rglob("*"))
    for attempt in (
        lambda: add_files(sent(photos), "new"),
        lambda: add_files([as_zip(sent(photos))], "new"),
        lambda: add_to_class(whole, "dogs", sent(photos / "cats", photos / "cats")),
    ):
        count = 0
        monkeypatch.setattr(taking, "_write", write)
        with pytest.raises(DataError, match="No space left on device"):
            attempt()
        monkeypatch.setattr(taking, "_write", real)
    assert left(thaw_home) == ["whole"]
    assert sorted(whole.rglob("*")) == before


def test_two_of_the_same_name_at_once_are_both_whole(photos: Path, thaw_home: Path) -> None:
    files = sent(photos)
    folders: list[Path] = []
    threads = [
        threading.Thread(target=lambda: folders.append(add_files(files, "pets").folder))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left(thaw_home) == ["pets", "pets 2", "pets 3", "pets 4"]
    assert len({inspect_folder(folder).fingerprint for folder in folders}) == 1


def test_two_additions_to_one_class_at_once_are_both_there(photos: Path) -> None:
    folder = add_files(sent(photos), "pets").folder
    inner = folder / "pets"
    cats = sent(photos / "cats", photos / "cats")
    threads = [
        threading.Thread(target=lambda: add_to_class(inner, "birds", cats)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inspect_folder(folder).classes == (("birds", 12, 0), ("cats", 3, 0), ("dogs", 2, 0))


def test_a_sketch_gives_up_a_bomb_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "RATIO_COUNTS_FROM", 2**20)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        info = tarfile.TarInfo("a/big.txt")
        info.size = 50 * 2**20
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(DataError, match="unpacks to more than 100 times its size"):
        sketch_files([Sent("x.tar.gz", content.getvalue())])


def test_a_sketch_needs_no_room_for_the_pictures(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "KEEP_FREE", 2**60)
    assert sketch_files([as_zip(sent(photos))]).num_pictures == 5
    with pytest.raises(DataError, match="would fill the disk"):
        add_files([as_zip(sent(photos))], "pets")


def test_a_path_that_no_system_takes_is_left_out_of_both(photos: Path) -> None:
    files = [*sent(photos), Sent("/".join(["x" * 199] * 25) + "/1.png", b"x")]
    sketch, added = sketch_files(files), add_files(files, "pets")
    assert (sketch.num_pictures, sketch.num_left_out) == (5, 1)
    assert (added.num_pictures, added.num_left_out) == (5, 1)
