"""The layers hold: no dashboard in the engine, no torch where only results are read, no circle."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import engine
from tests.importing import first_to_load

ROOT = Path(engine.__file__).parent
HEAVY = ("torch", "timm", "torchvision")
LIGHT_MODULES = [
    "engine.caching",
    "engine.cli",
    "engine.cli.doctor",
    "engine.cli.inspecting",
    "engine.cli.log",
    "engine.cli.reporting",
    "engine.data.batches",
    "engine.data.check",
    "engine.data.facts",
    "engine.data.fetching",
    "engine.data.folders",
    "engine.data.likeness",
    "engine.data.manifest",
    "engine.data.report",
    "engine.data.samples",
    "engine.data.scale",
    "engine.doctor.checks",
    "engine.doctor.glance",
    "engine.doctor.leftovers",
    "engine.doctor.states",
    "engine.doctor.store",
    "engine.doctor.weights",
    "engine.events",
    "engine.fields",
    "engine.hyperrule",
    "engine.insight.bands",
    "engine.insight.blends",
    "engine.insight.chance",
    "engine.insight.bands",
    "engine.insight.batch_classes",
    "engine.insight.batch_drift",
    "engine.insight.batch_words",
    "engine.insight.batch_work",
    "engine.insight.batch_worker",
    "engine.insight.class_comparison",
    "engine.insight.classes",
    "engine.insight.compare",
    "engine.insight.comparison",
    "engine.insight.cost",
    "engine.insight.embedding",
    "engine.insight.evidence",
    "engine.insight.explain_worker",
    "engine.insight.explaining",
    "engine.insight.forgetting",
    "engine.insight.frontier",
    "engine.insight.layers",
    "engine.insight.learning_curve",
    "engine.insight.norm_shift",
    "engine.insight.overlay",
    "engine.insight.ranking",
    "engine.insight.reproduction",
    "engine.insight.saliency_maps",
    "engine.insight.shift",
    "engine.insight.shift_verdicts",
    "engine.insight.shift_work",
    "engine.insight.shift_worker",
    "engine.insight.survey",
    "engine.insight.thinning",
    "engine.insight.thresholds",
    "engine.insight.update_methods",
    "engine.insight.update_images",
    "engine.insight.update_ways",
    "engine.insight.updates",
    "engine.logs",
    "engine.logs.reading",
    "engine.models.catalogue",
    "engine.models.weights_files",
    "engine.recipes",
    "engine.runs.background",
    "engine.runs.doubts",
    "engine.runs.experiment",
    "engine.runs.exporting",
    "engine.runs.fetch_process",
    "engine.runs.importing",
    "engine.runs.instant",
    "engine.runs.patience",
    "engine.runs.process",
    "engine.runs.queue",
    "engine.runs.rate_finder",
    "engine.runs.replay",
    "engine.runs.search",
    "engine.runs.search_space",
    "engine.runs.search_study",
    "engine.runs.store",
    "engine.runs.supervisor",
    "engine.runs.worker",
    "engine.runs.writer",
    "engine.spec",
    "engine.strategies",
    "engine.training.curves",
    "engine.training.doubts_record",
    "engine.training.elsewhere",
    "engine.training.optimiser_names",
    "engine.training.plan",
    "engine.training.predictions",
    "engine.training.range_test",
    "engine.training.schedules",
    "engine.training.speeds",
    "engine.update.foreseen",
    "engine.update.judging",
    "engine.update.known",
    "engine.update.methods",
    "engine.update.names",
    "engine.update.request",
    "engine.insight.paired",
    "engine.update.adopting",
    "engine.update.gate",
    "engine.update.lineage",
    "engine.update.matrix",
    "engine.versions",
]
# Each package may import what stands in an earlier row, or in its own.
LAYERS = [
    {"data", "models"},
    {"strategies"},
    {"training"},
    {"runs"},
    {"insight"},
    {"doctor"},
    {"cli"},
]
# Plain records that specs are made of stand below all layers.
RECORDS = {"engine.models.catalogue", "engine.strategies", "engine.strategies.base"}


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(file): file for file in sorted(ROOT.rglob("*.py"))}


def statements(tree: ast.AST, nested: bool) -> Iterator[ast.AST]:
    """All statements, or only those that run when the module is imported."""
    for child in ast.iter_child_nodes(tree):
        if not nested and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        is_for_types_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not nested and is_for_types_only:
            continue
        yield child
        yield from statements(child, nested)


def imported_by(module: str, nested: bool) -> set[str]:
    """Names of all modules that a module of the engine imports, itself excepted."""
    found: set[str] = set()
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
    for statement in statements(tree, nested):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{module}: relative import"
            base = statement.module or ""
            inside = {f"{base}.{alias.name}" for alias in statement.names} & set(SOURCES)
            found |= inside or {base}
    return found - {module}


def test_the_scan_sees_the_engine() -> None:
    assert len(SOURCES) > 40
    assert "engine.runs.store" in imported_by("engine.runs.queue", nested=False)
    assert "engine.training.trainer" in imported_by("engine.runs.worker", nested=True)
    assert "engine.training.trainer" not in imported_by("engine.runs.worker", nested=False)


@pytest.mark.parametrize("module", SOURCES)
def test_the_engine_knows_no_streamlit_and_no_plotly(module: str) -> None:
    roots = {name.partition(".")[0] for name in imported_by(module, nested=True)}
    assert not roots & {"streamlit", "plotly"}


def test_only_the_commands_that_draw_know_the_dashboard() -> None:
    users = {
        module
        for module in SOURCES
        if any(name.partition(".")[0] == "dashboard" for name in imported_by(module, nested=True))
    }
    assert users == {"engine.cli.serve", "engine.cli.reporting"}


def test_imports_go_round_in_no_circle() -> None:
    graph = {module: imported_by(module, nested=False) & set(SOURCES) for module in SOURCES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def layer_of(module: str) -> int | None:
    parts = module.split(".")
    if module in RECORDS or len(parts) < 2:
        return None
    return next((row for row, names in enumerate(LAYERS) if parts[1] in names), None)


@pytest.mark.parametrize("module", SOURCES)
def test_a_layer_uses_only_what_stands_below_it(module: str) -> None:
    own = layer_of(module)
    if own is None:
        return
    above = {
        name
        for name in imported_by(module, nested=True)
        if name in SOURCES and (layer_of(name) or 0) > own
    }
    assert above == set()


def test_what_only_reads_results_imports_no_torch() -> None:
    assert first_to_load(HEAVY, LIGHT_MODULES) == {}


def test_what_imports_torch_is_found() -> None:
    found = first_to_load(["torch"], ["engine.errors", "engine.training.trainer", "engine.spec"])
    assert found == {"torch": "engine.training.trainer"}
