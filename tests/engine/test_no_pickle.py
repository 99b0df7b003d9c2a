"""Nothing that is read from a file can run code: no path in the engine or dashboard unpickles."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dashboard
import engine

ROOTS = [Path(str(package.__file__)).parent for package in (engine, dashboard)]
FILES = sorted(file for root in ROOTS for file in root.rglob("*.py"))

# Modules that run what a file holds, whoever wrote it.
REFUSED_MODULES = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"),
}
REFUSED_CALLS = {"eval", "exec", "torch.hub.load", "yaml.load", "yaml.unsafe_load"}
REFUSED_METHODS = {"read_pickle", "to_pickle"}
LOADERS = {"torch.load", "torch.hub.load_state_dict_from_url", "load_state_dict_from_url"}


def faults(source: str) -> list[str]:
    """Returns what a file does that could run code from another file."""
    return [found for node in ast.walk(ast.parse(source)) for found in _faults_of(node)]


def _faults_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names]
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
        yield from (f"imports {name}" for name in modules if name.split(".")[0] in REFUSED_MODULES)
        # So that each call is seen for what it is.
        if isinstance(node, ast.ImportFrom) and node.module in ("torch", "numpy"):
            yield from (f"imports {node.module}.load" for name in names if name == "load")
    if not isinstance(node, ast.Call):
        return
    called = ast.unparse(node.func)
    last = called.rpartition(".")[2]
    options = {one.arg: ast.unparse(one.value) for one in node.keywords}
    if called in REFUSED_CALLS or last in REFUSED_METHODS:
        yield f"calls {called}"
    if called in LOADERS and options.get("weights_only") != "True":
        yield f"{called} without weights_only=True"
    if options.get("allow_pickle", "False") != "False":
        yield f"{called} with allow_pickle"
    if None in options and called in ("torch.load", "np.load", "numpy.load"):
        yield f"{called} with options that cannot be seen"


def test_there_are_files_to_look_at() -> None:
    assert len(FILES) > 200
    assert any("torch.load(" in file.read_text(encoding="utf-8") for file in FILES)


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_nothing_that_is_read_can_run_code(root: Path) -> None:
    found = {
        str(file): faults(file.read_text(encoding="utf-8"))
        for file in FILES
        if file.is_relative_to(root)
    }
    assert {file: what for file, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import dill as d",
        "from torch import load",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "torch.load(file, weights_only=safe)",
        "torch.load(file, **options)",
        "np.load(file, allow_pickle=True)",
        "np.load(file, **options)",
        "np.savez(file, allow_pickle=maybe)",
        "pd.read_pickle(file)",
        "eval(text)",
        "torch.hub.load('somebody/code', 'model')",
        "yaml.load(text)",
    ],
)
def test_what_could_is_seen(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(file, weights_only=True)",
        "np.load(file)",
        "np.load(file, allow_pickle=False)",
        "model.eval()",
        "connection.exec_driver_sql('PRAGMA')",
        "load_file(file)",
    ],
)
def test_what_cannot_is_let_pass(source: str) -> None:
    assert not faults(source)
