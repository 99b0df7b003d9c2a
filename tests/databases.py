"""Fixtures: the databases that a store can be kept in. `usefixtures("database")` tries them all."""

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from engine.runs.store import Store
from tests.postgres import Server, postgres_programs

TEMPLATE = "template_store"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL that holds an empty store to be copied."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = Server(programs)
    server.start()
    try:
        execute(server, f"CREATE DATABASE {TEMPLATE}")
        Store(server.url(TEMPLATE)).close()
        yield server
    finally:
        server.remove()


def unused_name() -> str:
    """Returns the name of a database that is not there yet."""
    return f"store_{next(_numbers)}"


def execute(server: Server, statement: str) -> None:
    """Runs a statement that no transaction may hold."""
    address = server.url("postgres").replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture
def postgres(postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty store in a PostgreSQL, to which THAW_DATABASE_URL leads."""
    name = unused_name()
    execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    monkeypatch.setenv("THAW_DATABASE_URL", postgres_server.url(name))
    yield postgres_server.url(name)
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def _used(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    if kind == "postgres":
        request.getfixturevalue("postgres")
    return kind


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, thaw_home: object) -> str:
    """Which database the test's store is kept in."""
    return _used(request)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def either_database(request: pytest.FixtureRequest, thaw_home: object) -> str:
    """The same for tests that train, which on PostgreSQL are left to `make test-all`."""
    return _used(request)
