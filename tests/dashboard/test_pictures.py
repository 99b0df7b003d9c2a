"""Validation pictures by a route of Thaw's own: only those of a run, only below the roots."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Route

from dashboard.pictures import NONE_HERE, PATH, Pictures
from dashboard.roots import VARIABLE
from engine.runs.store import Run, Store
from tests.dashboard.made import add_run, finish
from tests.dashboard.made_embedding import lay_out, pictures
from tests.dashboard.test_server import OWN_HOST, ask

NUM = 6


@pytest.fixture
def photos(tiny_folder: Path) -> list[str]:
    return pictures(tiny_folder, NUM)


@pytest.fixture
def trained(store: Store, photos: list[str]) -> Run:
    run = finish(store, add_run(store))
    lay_out(run, photos, 3)
    return run


@pytest.fixture
def app(store: Store) -> Starlette:
    return Starlette(routes=[Route(PATH, Pictures(store).__call__)])


def answer(app: Starlette, run_id: str, place: int | str) -> tuple[int, bytes]:
    return ask(app, f"/thaw/picture/{run_id}/{place}", OWN_HOST)


def test_a_picture_is_small_and_square(app: Starlette, trained: Run) -> None:
    for place in range(NUM):
        status, body = answer(app, trained.id, place)
        assert status == 200
        with Image.open(BytesIO(body)) as picture:
            assert picture.size == (112, 112)


def test_a_run_is_known_by_as_much_of_its_id_as_tells(app: Starlette, trained: Run) -> None:
    assert answer(app, trained.id[:6], 0)[0] == 200


@pytest.mark.parametrize("place", [NUM, 10**9, "-1", "1.5", "x", "..%2f0"])
def test_there_is_nothing_beyond_the_list_of_a_run(
    app: Starlette, trained: Run, place: int | str
) -> None:
    status, body = answer(app, trained.id, place)
    assert status == 404
    assert str(Path.home()).encode() not in body


@pytest.mark.parametrize("run_id", ["nobody", "..", "%2e%2e", "*", "' or 1=1"])
def test_there_is_nothing_of_runs_that_are_not_there(app: Starlette, run_id: str) -> None:
    assert answer(app, run_id, 0)[0] == 404


def test_what_lies_outside_the_roots_is_not_shown(
    app: Starlette, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "elsewhere"))
    assert answer(app, trained.id, 0) == (404, NONE_HERE.encode())


def test_a_link_out_of_the_roots_is_not_followed(
    app: Starlette, store: Store, photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "in.jpg").symlink_to(photos[0])
    run = finish(store, add_run(store))
    lay_out(run, [str(root / "in.jpg")] * 4, 2)
    assert answer(app, run.id, 0)[0] == 200
    monkeypatch.setenv(VARIABLE, str(root))
    assert answer(app, run.id, 0) == (404, NONE_HERE.encode())


@pytest.mark.parametrize("path", ["/etc/passwd", "/dev/zero", "/nowhere/a.jpg", "a\0b.jpg"])
def test_what_is_no_picture_is_told_like_what_is_not_there(
    app: Starlette, store: Store, path: str
) -> None:
    run = finish(store, add_run(store))
    lay_out(run, [path] * 4, 2)
    assert answer(app, run.id, 0) == (404, NONE_HERE.encode())


def test_a_list_that_was_replaced_is_read_anew(
    app: Starlette, trained: Run, photos: list[str]
) -> None:
    assert answer(app, trained.id, NUM - 1)[0] == 200
    lay_out(trained, photos[:4], 2)
    assert answer(app, trained.id, NUM - 1)[0] == 404
