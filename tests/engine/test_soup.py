"""Averages of real runs, and blends of before and after: judged fairly, refused with a reason."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import engine.cli.blends  # noqa: F401, registers its commands
from engine.cli.app import app
from engine.data.manifest import MANIFEST_FILE
from engine.errors import RunNotFoundError, WeightsError
from engine.home import CHECKPOINT_FILE, WEIGHTS_FILE, run_folder, thaw_home
from engine.insight.blends import (
    InterpolationReport,
    SoupReport,
    blend_file,
    kept_blend,
    soup_file,
    soup_id,
    soup_of,
    soups,
    why_not_average,
)
from engine.insight.soup import NO_EPOCH, interpolate_run, make_soup
from engine.models.backbone import build_backbone
from engine.models.weights_files import checkpoint_facts
from engine.runs.store import Run, Store
from engine.training.checkpoint import load_checkpoint
from engine.training.curves import END_FILE, START_FILE, read_curve
from engine.training.interpolate import average, blend
from tests.engine.specs import tiny_spec
from tests.engine.trained_runs import trained_runs

SETTINGS: dict[str, dict[str, Any]] = {
    "frozen": {},
    "again": {},
    "full": {"strategy.name": "full", "optimiser.lr": 1e-3},
    "tuned": {"strategy.name": "wise_ft"},
}


@pytest.fixture(scope="module")
def trained(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A THAW_HOME with really trained runs: frozen, frozen again, full, and one to blend."""
    home = tmp_path_factory.mktemp("trained")
    with trained_runs(home, tiny_folder, SETTINGS):
        pass
    return home


@pytest.fixture
def store(trained: Path, thaw_home: Path) -> Iterator[Store]:
    """The store of a copy of the trained runs, which a test may change."""
    shutil.copytree(trained, thaw_home)
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def runs(store: Store) -> dict[str, Run]:
    return {run.name: run for run in store.all_runs()}


def best(run: Run) -> Path:
    return run_folder(run.id) / CHECKPOINT_FILE


def pretended(store: Store, like: Run, settings: dict[str, Any]) -> Run:
    """A finished run with other settings and the files of a trained one."""
    spec = tiny_spec(like.spec.data.folder, settings)
    [run] = store.add_runs([("other", spec)])
    store.set_status(run.id, "finished", summary={"fingerprint": like.summary["fingerprint"]})
    shutil.copytree(run_folder(like.id), run_folder(run.id))
    return store.run(run.id)


def change(file: Path, **values: Any) -> None:
    """Changes values in a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


# ---- a soup


def test_a_soup_is_the_mean_of_its_runs(store: Store, runs: dict[str, Run]) -> None:
    frozen, full = runs["frozen"], runs["full"]
    report = make_soup(store, [frozen.id, full.id])
    mean = average([load_file(best(frozen)), load_file(best(full))])
    made = load_file(report.checkpoint)
    assert made.keys() == mean.keys()
    moved = [name for name in made if not torch.equal(made[name], load_file(best(frozen))[name])]
    assert "head.1.weight" in moved
    assert "backbone.network.conv_stem.weight" in moved
    floating = [name for name in made if made[name].is_floating_point()]
    assert all(torch.equal(made[name], mean[name]) for name in floating)


def test_a_soup_loads_like_any_checkpoint(store: Store, runs: dict[str, Run]) -> None:
    report = make_soup(store, [runs["full"].id, runs["frozen"].id])
    model, header = load_checkpoint(Path(report.checkpoint))
    own = load_checkpoint(best(runs["full"]))[1]
    assert (header.classes, header.mean, header.std) == (own.classes, own.mean, own.std)
    assert (header.epoch, header.val_accuracy) == (NO_EPOCH, report.val_accuracy)
    assert not model.training
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_a_soup_can_be_started_from(store: Store, runs: dict[str, Run]) -> None:
    report = make_soup(store, [runs["full"].id, runs["frozen"].id])
    facts = checkpoint_facts(report.checkpoint)
    assert facts is not None
    backbone = build_backbone(facts.backbone, 64, report.checkpoint)
    expected = load_file(report.checkpoint)
    for name, tensor in backbone.network.state_dict().items():
        assert torch.equal(tensor, expected[f"backbone.network.{name}"])


def test_the_soup_of_a_run_and_itself_again_equals_it(store: Store, runs: dict[str, Run]) -> None:
    report = make_soup(store, [runs["frozen"].id, runs["again"].id])
    own = load_file(best(runs["frozen"]))
    made = load_file(report.checkpoint)
    assert all(torch.equal(made[name], own[name]) for name in own)
    assert report.val_accuracy == report.members[0].val_accuracy
    assert report.val_f1 == report.members[0].val_f1
    assert report.lead_images == 0


def test_members_are_judged_as_their_runs_were(store: Store, runs: dict[str, Run]) -> None:
    report = make_soup(store, [runs["full"].id, runs["frozen"].id])
    assert report.val_images == 6
    for member in report.members:
        run = store.run(member.run_id)
        assert member.name == run.name
        assert member.val_accuracy == pytest.approx(run.summary["best_val_accuracy"])
        [epoch] = [e for e in store.epochs(run.id) if e.epoch == run.summary["best_epoch"]]
        assert member.val_f1 == pytest.approx(epoch.values["val/f1"], abs=1e-6)


def test_the_order_of_the_runs_does_not_matter(store: Store, runs: dict[str, Run]) -> None:
    ids = [runs["frozen"].id, runs["full"].id]
    one = make_soup(store, ids)
    written = Path(one.checkpoint).read_bytes()
    other = make_soup(store, [*ids[::-1], ids[0]])
    assert other.checkpoint == one.checkpoint
    assert other.members == one.members
    assert Path(other.checkpoint).read_bytes() == written


def test_a_soup_is_found_again_by_its_runs(store: Store, runs: dict[str, Run]) -> None:
    ids = [runs["frozen"].id, runs["full"].id]
    assert soup_of(ids) is None
    assert soups() == []
    report = make_soup(store, ids)
    assert soup_of(ids[::-1]) == report
    assert soups() == [report]
    assert Path(report.checkpoint) == thaw_home() / "soups" / f"{report.id}.safetensors"
    assert SoupReport.from_file(soup_file(ids).with_suffix(".json")) == report
    assert soup_of([runs["frozen"].id, runs["again"].id]) is None


def test_a_soup_without_weights_or_with_a_damaged_report_is_none(
    store: Store, runs: dict[str, Run]
) -> None:
    ids = [runs["frozen"].id, runs["full"].id]
    file = Path(make_soup(store, ids).checkpoint)
    file.with_suffix(".json").write_text('{"members": 3}')
    assert soup_of(ids) is None
    assert soups() == []
    with pytest.raises(WeightsError, match="make them again"):
        SoupReport.from_file(file.with_suffix(".json"))
    assert make_soup(store, ids) == soup_of(ids)
    file.unlink()
    assert soup_of(ids) is None


def test_soups_move_with_their_folder(store: Store, runs: dict[str, Run], tmp_path: Path) -> None:
    report = make_soup(store, [runs["frozen"].id, runs["full"].id])
    moved = shutil.copytree(thaw_home() / "soups", tmp_path / "elsewhere")
    found = SoupReport.from_file(moved / f"{report.id}.json")
    assert found.checkpoint == str(moved / f"{report.id}.safetensors")


def test_an_id_follows_from_the_runs_alone() -> None:
    assert soup_id(["b", "a"]) == soup_id(["a", "b", "a"]) != soup_id(["a", "c"])


# ---- what cannot be averaged


def test_runs_of_one_start_can_be_averaged(runs: dict[str, Run]) -> None:
    assert why_not_average(list(runs.values())) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seed": 1}, r"different seeds \(0, 1\), so their heads started from different random"),
        ({"model.backbone": "resnet18"}, r"backbones \(efficientnet_lite0, torchvision/resnet"),
        ({"model.weights": "random"}, r"different weights \(pretrained, random\)"),
        ({"model.head": "mlp"}, r"heads of different kinds \(linear, mlp\)"),
        ({"images.size": 96}, r"pictures of different sizes \(64, 96 px\)"),
        ({"images.fit": "pad"}, r"in different ways \(squash, pad\)"),
        ({"images.normalisation": "rescale"}, r"different ways \(backbone, rescale\)"),
    ],
)
def test_runs_that_differ_in_what_matters_are_refused(
    store: Store, runs: dict[str, Run], settings: dict[str, Any], said: str
) -> None:
    other = pretended(store, runs["frozen"], settings)
    with pytest.raises(WeightsError, match=said):
        make_soup(store, [runs["frozen"].id, other.id])
    assert soups() == []
    assert len(why_not_average([runs["frozen"], other])) == 1


def test_heads_of_different_width_are_refused(store: Store, runs: dict[str, Run]) -> None:
    narrow, wide = (
        pretended(store, runs["frozen"], {"model.head": "mlp", "model.hidden_units": units})
        for units in (16, 32)
    )
    assert why_not_average([narrow, wide]) == [
        "These runs have heads of different width (16, 32 hidden units)."
    ]
    assert why_not_average([runs["frozen"], pretended(store, runs["frozen"], {})]) == []


def test_every_reason_is_told_at_once(store: Store, runs: dict[str, Run]) -> None:
    other = pretended(store, runs["frozen"], {"seed": 1, "images.fit": "pad"})
    assert len(why_not_average([runs["frozen"], other])) == 2


def test_what_may_differ_is_let_pass(store: Store, runs: dict[str, Run]) -> None:
    other = pretended(
        store,
        runs["frozen"],
        {
            "optimiser.lr": 1e-5,
            "training.epochs": 3,
            "training.batch_size": 4,
            "images.augmentation": "flip",
            "model.dropout": 0.5,
        },
    )
    assert why_not_average([runs["frozen"], other]) == []


def test_other_images_are_refused(store: Store, runs: dict[str, Run]) -> None:
    other = pretended(store, runs["frozen"], {})
    store.add_to_summary(other.id, {"fingerprint": "another"})
    [reason] = why_not_average([runs["frozen"], store.run(other.id)])
    assert "different images or a different split" in reason


def test_other_classes_are_refused(store: Store, runs: dict[str, Run]) -> None:
    other = pretended(store, runs["frozen"], {})
    change(run_folder(other.id) / MANIFEST_FILE, classes=["fruit", "birds", "vehicles"])
    [reason] = why_not_average([runs["frozen"], other])
    assert "different classes, or the same in another order" in reason


def test_a_weights_file_that_was_replaced_is_noticed(store: Store, runs: dict[str, Run]) -> None:
    other = pretended(store, runs["frozen"], {})
    change(run_folder(other.id) / WEIGHTS_FILE, sentence="another file of that name")
    [reason] = why_not_average([runs["frozen"], other])
    assert "under the same name" in reason
    assert "another file of that name" in reason


def test_one_run_is_no_soup(store: Store, runs: dict[str, Run]) -> None:
    one = runs["frozen"]
    with pytest.raises(WeightsError, match="at least two different runs"):
        make_soup(store, [one.id, one.id])


def test_a_run_that_goes_on_is_refused(store: Store, runs: dict[str, Run]) -> None:
    [waiting] = store.add_runs([("waiting", runs["frozen"].spec)])
    with pytest.raises(WeightsError, match=rf"waiting \({waiting.id}\) is queued"):
        make_soup(store, [runs["frozen"].id, waiting.id])


def test_a_run_whose_weights_are_gone_is_refused(store: Store, runs: dict[str, Run]) -> None:
    best(runs["full"]).unlink()
    with pytest.raises(WeightsError, match=r"full .* there is no .*best\.safetensors"):
        make_soup(store, [runs["frozen"].id, runs["full"].id])


def test_an_unknown_run_is_refused(store: Store, runs: dict[str, Run]) -> None:
    with pytest.raises(RunNotFoundError):
        make_soup(store, [runs["frozen"].id, "no-run"])


# ---- between before and after


@pytest.fixture
def tuned(runs: dict[str, Run]) -> Run:
    """A run that kept its weights from before and after fine-tuning."""
    return runs["tuned"]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_a_blend_is_kept_and_judged(store: Store, tuned: Run, alpha: float) -> None:
    report = interpolate_run(store, tuned.id, alpha)
    made = load_file(report.checkpoint)
    start, end = (load_file(run_folder(tuned.id) / name) for name in (START_FILE, END_FILE))
    expected = blend(start, end, alpha)
    assert all(torch.equal(made[name], expected[name]) for name in expected)
    assert not torch.equal(start["head.1.weight"], end["head.1.weight"])
    assert Path(report.checkpoint) == blend_file(tuned.id, alpha)
    assert (report.run_id, report.alpha, report.val_images) == (tuned.id, alpha, 6)
    model, header = load_checkpoint(Path(report.checkpoint))
    assert header.val_accuracy == report.val_accuracy
    assert header.epoch == tuned.spec.training.epochs
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
    assert kept_blend(tuned.id, alpha) == report
    assert InterpolationReport.from_file(Path(report.checkpoint).with_suffix(".json")) == report


def test_a_blend_is_as_good_as_the_run_measured_it(store: Store, tuned: Run) -> None:
    curve = read_curve(run_folder(tuned.id))
    assert curve is not None
    for alpha in (0.0, 0.5, 1.0):
        measured = dict(curve.points)[alpha]
        assert interpolate_run(store, tuned.id, alpha).val_accuracy == pytest.approx(measured)


def test_a_blend_goes_where_it_is_told(store: Store, tuned: Run, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    report = interpolate_run(store, tuned.id, 0.5, out)
    assert report.checkpoint == str(out)
    assert load_checkpoint(out)[1].val_accuracy == report.val_accuracy
    assert not out.with_suffix(".json").exists()
    assert kept_blend(tuned.id, 0.5) is None


def test_a_run_that_kept_no_start_is_refused(store: Store, runs: dict[str, Run]) -> None:
    with pytest.raises(WeightsError, match="nothing to blend; finished runs of the strategy wise"):
        interpolate_run(store, runs["frozen"].id, 0.5)


def test_a_place_that_cannot_be_written_is_refused(
    store: Store, tuned: Run, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match="cannot be written to"):
        interpolate_run(store, tuned.id, 0.5, tmp_path / "missing" / "mine.safetensors")
    with pytest.raises(WeightsError, match=r"must end in \.safetensors"):
        interpolate_run(store, tuned.id, 0.5, tmp_path / "mine.pth")
    assert list(tmp_path.glob("*mine*")) == []


# ---- from the command line


def thaw(*arguments: str) -> Any:
    """Runs a command in this process, which has PyTorch already."""
    return CliRunner().invoke(app, arguments)


def test_soup_prints_its_report(store: Store, runs: dict[str, Run]) -> None:
    ids = [runs["frozen"].id, runs["full"].id]
    done = thaw("soup", *ids, "--json")
    made = soup_of(ids)
    assert made is not None
    assert json.loads(done.stdout) == json.loads(json.dumps(made.to_dict()))
    assert done.stderr == ""


def test_soup_shows_people_how_it_does(store: Store, runs: dict[str, Run]) -> None:
    shown = " ".join(thaw("soup", runs["frozen"].id, runs["again"].id).stdout.split())
    assert f"frozen ({runs['frozen'].id})" in shown
    assert "their average" in shown
    assert "As many of the 6 validation images right as with the best of them." in shown
    assert str(soup_file([runs["frozen"].id, runs["again"].id])) in shown


def test_a_soup_that_is_refused_is_one_sentence(store: Store, runs: dict[str, Run]) -> None:
    other = pretended(store, runs["frozen"], {"seed": 1})
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "soup", runs["frozen"].id, other.id, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "different seeds" in json.loads(done.stdout)["error"]
    assert done.stderr.startswith("thaw: These runs have different seeds")
    assert done.stderr.count("\n") == 1


def test_interpolate_keeps_a_blend(store: Store, tuned: Run, tmp_path: Path) -> None:
    done = thaw("interpolate", tuned.id, "--alpha", "0.3", "--json")
    kept = kept_blend(tuned.id, 0.3)
    assert kept is not None
    assert json.loads(done.stdout) == kept.to_dict()
    out = tmp_path / "mine.safetensors"
    shown = thaw("interpolate", tuned.id, "--alpha", "0.3", "--out", str(out)).stdout
    assert str(out) in shown
    assert f"{100 * kept.val_accuracy:.1f} %" in shown
    assert load_checkpoint(out)[1].val_accuracy == kept.val_accuracy


def test_interpolate_wants_an_alpha_between_the_ends(store: Store, tuned: Run) -> None:
    for arguments in ((), ("--alpha", "1.5")):
        done = thaw("interpolate", tuned.id, *arguments)
        assert done.exit_code == 2
        assert "--alpha" in done.stderr
