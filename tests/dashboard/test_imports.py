"""The dashboard starts without PyTorch, and only what draws pages imports Streamlit."""

import ast
import pkgutil
from pathlib import Path

import pytest

import dashboard
from tests.importing import first_to_load, printed_by

ROOT = Path(dashboard.__file__).parent
HEAVY = ("torch", "timm", "torchvision", "torchmetrics")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(ROOT)], "dashboard.")
    if not module.name.startswith("dashboard.app")
)
DRAWS = (
    "access/headers.py",
    "access/oidc.py",
    "access/pages.py",
    "app.py",
    "app_pages/",
    "cost_section.py",
    "curves_section.py",
    "learning_section.py",
    "verdict_section.py",
    "widgets.py",
    "runs.py",
    "data_summary.py",
    "live/",
    "server.py",
    "model_choice.py",
    "recipe_choice.py",
    "layers_section.py",
    "lr_finder_section.py",
    "images_section.py",
    "classes_section.py",
    "classes_view.py",
    "gallery.py",
    "going_on_section.py",
    "pair_choice.py",
    "saliency_section.py",
    "scores_section.py",
    "threshold_section.py",
    "instant_section.py",
    "cache_section.py",
    "data_choice.py",
    "strategy_choice.py",
    "optimiser_choice.py",
    "training_choice.py",
    "plan_summary.py",
    "depth_form.py",
    "depth_results.py",
    "blend_sections.py",
    "search_form",
    "steered.py",
    "report_sections.py",
    "remedy_section.py",
    "source_choice.py",
    "split_choice.py",
    "upload_section.py",
    "transfer_section.py",
    "fetch_section.py",
    "doubts_section.py",
    "drift_gallery.py",
    "drift_section.py",
    "shift_section.py",
    "shift_results.py",
    "shift_examples.py",
    "run_actions.py",
    "adopt_section.py",
    "lineage_section.py",
    "clone.py",
    "log_section.py",
    "embedding/",
    "embedding_section.py",
    "report_view.py",
    "update_gallery.py",
    "update_results.py",
    "update_table.py",
    "show.py",
    "update_after.py",
    "update_fill.py",
    "update_images.py",
    "update_launch.py",
    "update_list.py",
    "update_methods.py",
    "update_model.py",
    "update_names.py",
    "preload.py",
)

OPEN_ALL_PAGES = """
import json, sys
from dashboard.runs import store
from tests.dashboard.made import add_pair, finish
from tests.dashboard.made_updates import finish_update
from tests.dashboard.pages import open_page
pair = [finish(store(), run) for run in add_pair(store())]
for name in ("train", "update", "models", "live", "compare", "depth", "search", "data", "runs"):
    open_page(name, [run.id for run in pair])
open_page("compare", [run.id for run in pair], view="Shift")
open_page("compare", [run.id for run in pair], view="Report")
open_page("compare", [finish_update(store(), pair[0]).id], view="Updates")
print(json.dumps(sorted(name for name in sys.argv[1:] if name in sys.modules)))
"""


def test_all_modules_are_looked_at() -> None:
    assert {"dashboard.charts", "dashboard.guard", "dashboard.server", "dashboard.live"} <= set(
        MODULES
    )


def test_no_module_loads_torch() -> None:
    assert first_to_load(HEAVY, MODULES) == {}


def test_no_page_loads_torch() -> None:
    assert printed_by(OPEN_ALL_PAGES, *HEAVY) == []


def imports_of(file: Path) -> set[str]:
    """Returns the top-level packages that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_only_what_draws_imports_streamlit(file: Path) -> None:
    if not str(file.relative_to(ROOT)).startswith(DRAWS):
        assert "streamlit" not in imports_of(file)
