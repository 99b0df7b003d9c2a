"""While the database is away, pages say so in a sentence and are whole again afterwards."""

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError
from starlette.requests import Request
from streamlit.testing.v1 import AppTest

from dashboard.stream import Hub, events_response
from engine.runs.store import Store
from tests.dashboard.pages import APP


class GoneError(Exception):
    """What a driver raises that is not SQLite's."""


def gone(*_: Any, **__: Any) -> Any:
    raise OperationalError("SELECT note FROM runs", {}, GoneError("no *such* server\nis it up?"))


def test_a_page_says_that_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as away:
        away.setattr(Store, "all_runs", gone)
        app = AppTest.from_file(APP, default_timeout=60).run()
        app.switch_page("app_pages/runs.py").run()
    [error] = app.error
    assert not app.exception
    assert "cannot be reached (no \\*such\\* server is it up?)" in error.value
    assert "SELECT" not in error.value
    app.run()
    assert not app.error


def test_the_stream_is_refused_for_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request({"type": "http", "query_string": b"follow=1", "headers": []})
    with monkeypatch.context() as away:
        away.setattr(Store, "heads", gone)
        assert events_response(Hub(store), store, request).status_code == 503
    assert events_response(Hub(store), store, request).status_code == 200


def test_what_is_wrong_for_good_is_not_taken_for_an_absence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any) -> Any:
        raise ProgrammingError("SELECT", {}, GoneError("no such column"))

    monkeypatch.setattr(Store, "heads", wrong)
    request = Request({"type": "http", "query_string": b"", "headers": []})
    with pytest.raises(ProgrammingError):
        events_response(Hub(store), store, request)
