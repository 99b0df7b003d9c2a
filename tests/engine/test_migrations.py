"""Stores of every earlier release are readable."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Boolean, DefaultClause, MetaData, create_engine, text

from engine.errors import StoreError
from engine.runs.database import writing
from engine.runs.migrations.table import VERSION_TABLE
from engine.runs.store import Store
from engine.runs.tables import SCHEMA_VERSION, metadata
from tests.databases import execute, unused_name
from tests.postgres import Server

STORES = Path(__file__).parent / "stores"
EARLIER = sorted(STORES.glob("v*.sql"))


def store_of(dump: Path, folder: Path) -> Path:
    file = folder / "thaw.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(dump.read_text())
    connection.close()
    return file


def copied(dump: Path, folder: Path, url: str) -> str:
    """The same tables and rows in another database."""
    old, new, tables = (
        create_engine(f"sqlite:///{store_of(dump, folder)}"),
        create_engine(url),
        MetaData(),
    )
    with old.connect() as source, new.begin() as target:
        tables.reflect(source)
        for column in (column for table in tables.sorted_tables for column in table.columns):
            # SQLite writes 0 for false.
            if column.server_default is not None and isinstance(column.type, Boolean):
                column.server_default = DefaultClause(text("false"))
        tables.create_all(target)
        for table in tables.sorted_tables:
            rows = [dict(row._mapping) for row in source.execute(table.select())]
            target.execute(table.insert(), rows)
    old.dispose()
    new.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Makes a store of an earlier release, and returns its address."""
    if request.param == "sqlite":
        yield lambda dump: f"sqlite:///{store_of(dump, tmp_path)}"
        return
    server: Server = request.getfixturevalue("postgres_server")
    name = unused_name()
    execute(server, f"CREATE DATABASE {name}")
    yield lambda dump: copied(dump, tmp_path, server.url(name))
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def differences(store: Store) -> list[object]:
    """What a store's tables lack, or have too much, by what alembic sees."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        return list(compare_metadata(context, metadata))


def test_there_is_a_store_of_every_earlier_schema() -> None:
    assert [file.stem for file in EARLIER] == [f"v{n}" for n in range(1, SCHEMA_VERSION)]


@pytest.mark.parametrize("dump", EARLIER, ids=lambda file: file.stem)
def test_an_earlier_store_is_brought_up_to_date_with_all_it_holds(
    dump: Path, earlier: Callable[[Path], str]
) -> None:
    url = earlier(dump)
    store = Store(url)
    assert differences(store) == []
    waiting, failed, finished = sorted(store.all_runs(), key=lambda run: run.status == "finished")
    by_name = {run.name: run for run in (waiting, failed, finished)}
    assert by_name["Waiting"].status == "queued"
    assert by_name["Full · photos"].reason == "The training loss became NaN in epoch 2."
    done = by_name["Frozen · photos"]
    assert done.summary["best_val_accuracy"] == 0.9
    assert [event.epoch for event in store.epochs(done.id)] == [1, 2]
    assert len(store.events(done.id)) == done.last_seq
    assert (done.note, done.tags, done.starred, done.archived) == ("", (), False, False)
    [(number, act)] = store.acts(by_name["Full · photos"].id)
    assert (number, act.sentence) == (1, "stem frozen")
    # It can be written as any other, and opened again.
    store.mark(done.id, note="the best so far", tags=["paper"])
    store.close()
    again = Store(url)
    assert again.run(done.id).note == "the best so far"


@pytest.mark.parametrize("dump", EARLIER, ids=lambda file: file.stem)
def test_updates_can_be_adopted_in_an_earlier_store(
    dump: Path, earlier: Callable[[Path], str]
) -> None:
    store = Store(earlier(dump))
    assert store.adoptions() == []
    run = store.all_runs()[0]
    done = store.add_adoption(run.id, "adopted", run.id, "before", {"name": "\0 ü"}, ())
    assert [one.in_use for one in store.adoptions(run.id)] == [run.id]
    assert store.adoptions() == [done]


def test_a_new_store_is_as_one_that_took_all_steps(database: str) -> None:
    new = Store()
    assert differences(new) == []
    with new.engine.connect() as connection:
        [at] = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars()
    assert at == f"{SCHEMA_VERSION:04d}"


def test_a_step_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = store_of(EARLIER[0], tmp_path)
    # The step's last column is there already.
    with sqlite3.connect(file) as connection:
        connection.execute("ALTER TABLE runs ADD COLUMN place FLOAT")
    connection.close()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(f"sqlite:///{file}")
    with sqlite3.connect(file) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
        [[version]] = connection.execute("SELECT version FROM schema_versions")
    connection.close()
    assert "note" not in names
    assert version == 1


def test_optunas_table_is_left_alone(tmp_path: Path) -> None:
    file = store_of(EARLIER[0], tmp_path)
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('v3.0.0.d')")
    connection.close()
    store = Store(f"sqlite:///{file}")
    with writing(store.engine) as connection:
        assert connection.execute(text("SELECT * FROM alembic_version")).scalars().all() == [
            "v3.0.0.d"
        ]
