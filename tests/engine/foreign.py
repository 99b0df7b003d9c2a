"""A run in a file, to be spoilt in one place."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import RunFileError
from engine.runs.importing import import_file
from engine.runs.store import Store
from tests.engine.hostile.run_files import (
    members_of,
    small_file,
)
from tests.engine.moved import at_home

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is as it should be."""
    folder = tmp_path_factory.mktemp("sound")
    with at_home(folder / "home") as store:
        return small_file(store, folder)


@pytest.fixture
def members(sound: Path) -> Members:
    return members_of(sound)


@pytest.fixture
def store(thaw_home: Path) -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


def is_empty(store: Store, home: Path) -> bool:
    """Whether nothing is left of what was refused."""
    runs = home / "runs"
    left = [] if not runs.exists() else sorted(one.name for one in runs.iterdir())
    with store.engine.connect() as connection:
        rows = [
            connection.exec_driver_sql(f"select count(*) from {table}").scalar()
            for table in ("runs", "events", "acts")
        ]
    return (left, rows) == ([], [0, 0, 0])


def refused(store: Store, file: Path, home: Path) -> str:
    """The sentence with which a file is refused, after which nothing of it is there."""
    with pytest.raises(RunFileError) as caught:
        import_file(store, file)
    text = str(caught.value)
    assert text.startswith(file.name)
    assert "\n" not in text
    assert len(text) < 600
    assert is_empty(store, home)
    return text


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Returns what sets a value by its dotted path."""

    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            document = document[parent]
        document[last] = value

    return change


INFINITE, NOT_A_NUMBER = float("inf"), float("nan")
