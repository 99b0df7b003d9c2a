"""The same photographs as a folder, as archives and as tables are the same data set."""

import csv
import shutil
from pathlib import Path

import pytest

from engine.data.archives import unpack
from engine.data.report import DataReport, inspect_folder

HYMENOPTERA = Path(__file__).parents[3] / "shared" / "data" / "hymenoptera"
SUFFIXES = (".jpg", ".jpeg", ".png")


def packed(kind: str, folder: Path) -> Path:
    """Returns the photographs in another form, in a folder of its own."""
    if kind == "csv":
        file = folder / "photos.csv"
        with file.open("w", newline="", encoding="utf-8") as opened:
            table = csv.writer(opened)
            table.writerow(["path", "label", "split"])
            for path in sorted(HYMENOPTERA.rglob("*")):
                if path.suffix.lower() in SUFFIXES:
                    table.writerow([path, path.parent.name, path.parent.parent.name])
        return file
    made = shutil.make_archive(str(folder / "bees"), kind, HYMENOPTERA.parent, HYMENOPTERA.name)
    return unpack(Path(made)).folder


def found_in(report: DataReport) -> list[tuple[str, int]]:
    """Returns what is wrong with the pictures, not how they lie there."""
    findings = [one for one in report.findings if one.kind not in ("layout", "other-files")]
    return [(one.kind, len(one.groups)) for one in findings]


@pytest.mark.slow
@pytest.mark.skipif(not HYMENOPTERA.is_dir(), reason="the photographs are not here")
@pytest.mark.parametrize("kind", ["zip", "gztar", "bztar", "csv"])
def test_photographs_are_the_same_in_every_form(tmp_path: Path, kind: str) -> None:
    folder, other = inspect_folder(HYMENOPTERA), inspect_folder(packed(kind, tmp_path))
    assert [name for name, _, _ in folder.classes] == ["ants", "bees"]
    assert folder.num_pictures == 397
    assert other.fingerprint == folder.fingerprint
    assert other.classes == folder.classes
    assert other.formats == folder.formats
    kinds = [one.kind for one in folder.findings if one.kind not in ("layout", "other-files")]
    assert [
        one.kind for one in other.findings if one.kind not in ("layout", "other-files")
    ] == kinds
