"""The command line, as a person or a script runs it."""

import importlib
import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command_name
from typer.testing import CliRunner

from engine.cli.app import app
from engine.cli.commands import COMMANDS
from engine.runs.store import Store
from engine.strategies import STRATEGIES
from tests.engine.commands import TINY, document, refusal, thaw
from tests.engine.specs import tiny_spec
from tests.engine.test_compare import EPOCH_KEYS, RUN_KEYS

# ---- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    importlib.import_module("engine.cli.serve")
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.stdout
    assert f"thaw {command}" in shown.stdout


def test_thaws_own_help_lists_the_commands() -> None:
    shown = thaw("--help")
    assert shown.returncode == 0
    assert "Example:" in shown.stdout
    for command in COMMANDS:
        assert f" {command} " in shown.stdout


def test_what_the_list_says_of_a_command_is_what_its_help_begins_with() -> None:
    listed = {}
    for name, (module, summary) in COMMANDS.items():
        imported = importlib.import_module(f"engine.cli.{module}")
        [function] = [
            info.callback
            for info in app.registered_commands
            if (info.name or get_command_name(info.callback.__name__)) == name
        ]
        assert function.__module__ == imported.__name__
        listed[name] = summary, inspect.getdoc(function).partition("\n\n")[0].replace("\n", " ")
    assert {name: summary for name, (summary, _) in listed.items()} == {
        name: said for name, (_, said) in listed.items()
    }
    registered = [
        info.name or get_command_name(info.callback.__name__) for info in app.registered_commands
    ]
    assert sorted(registered) == sorted(COMMANDS)


def test_the_list_of_commands_needs_none_of_what_they_need() -> None:
    code = (
        "import sys\n"
        "from engine.cli import main\n"
        "sys.argv = ['thaw', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'sqlalchemy', 'pydantic', 'streamlit', 'plotly'}\n"
        "print('imported:', sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.splitlines()[-1] == "imported: []"


def test_a_mistyped_command_is_told_its_neighbour() -> None:
    shown = thaw("trian")
    assert shown.returncode == 2
    assert "Did you mean 'train'?" in shown.stderr


def test_train_help_names_every_default_rate() -> None:
    shown = " ".join(thaw("train", "--help", COLUMNS="200").stdout.split())
    for strategy in STRATEGIES.values():
        assert f"{strategy.name} {strategy.default_lr:g}" in shown


# ---- training, and looking at what was trained


@pytest.fixture(scope="module")
def home(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A THAW_HOME with two finished runs; `frozen.json` and `full.json` hold what was printed."""
    home = tmp_path_factory.mktemp("home")
    frozen = thaw(
        *("train", "--data", str(tiny_folder), "--strategy", "frozen", "--epochs", "3", *TINY),
        "--json",
        THAW_HOME=str(home),
    )
    (home / "frozen.json").write_text(frozen.stdout)
    (home / "frozen.err").write_text(frozen.stderr)
    assert frozen.returncode == 0, frozen.stderr
    spec = home / "spec.json"
    spec.write_text(tiny_spec(tiny_folder, {"seed": 5, "optimiser.lr": 0.002}).model_dump_json())
    full = thaw(
        *("train", "--spec", str(spec), "--strategy", "full", "--epochs", "1", "--json"),
        *("--name", "Ünterwegs [draft] [/x]"),
        THAW_HOME=str(home),
    )
    (home / "full.json").write_text(full.stdout)
    assert full.returncode == 0, full.stderr
    return home


@pytest.fixture
def frozen(home: Path) -> Any:
    return json.loads((home / "frozen.json").read_text())


@pytest.fixture
def full(home: Path) -> Any:
    return json.loads((home / "full.json").read_text())


def test_train_prints_the_promised_document(frozen: Any) -> None:
    assert set(frozen) >= RUN_KEYS
    assert all(set(epoch) >= EPOCH_KEYS for epoch in frozen["epochs"])
    assert frozen["status"] == "finished"
    assert frozen["strategy"] == "frozen"
    assert frozen["backbone"] == "efficientnet_lite0"
    assert (frozen["classes"], frozen["train_images"], frozen["val_images"]) == (3, 18, 6)
    assert frozen["trainable_parameters"] == 3 * 1281
    assert frozen["total_parameters"] == 3 * 1281 + 3_371_008
    assert [epoch["epoch"] for epoch in frozen["epochs"]] == [1, 2, 3]
    accuracies = [epoch["val_accuracy"] for epoch in frozen["epochs"]]
    assert frozen["best_val_accuracy"] == max(accuracies)
    assert frozen["best_epoch"] == 1 + accuracies.index(max(accuracies))
    assert frozen["seconds"] > 0
    assert Path(frozen["checkpoint"]).is_file()


def test_train_json_prints_nothing_else(home: Path) -> None:
    assert (home / "frozen.err").read_text() == ""


def test_without_a_rate_the_strategys_own_is_taken(frozen: Any) -> None:
    assert frozen["spec"]["optimiser"]["lr"] == STRATEGIES["frozen"].default_lr


def test_options_override_a_spec_file_and_the_rest_is_kept(full: Any) -> None:
    assert full["strategy"] == "full"
    assert full["spec"]["training"]["epochs"] == 1
    assert full["spec"]["seed"] == 5
    assert full["spec"]["optimiser"]["lr"] == 0.002
    assert full["spec"]["images"]["size"] == 64
    assert full["trainable_parameters"] == full["total_parameters"]
    assert full["name"] == "Ünterwegs [draft] [/x]"


def test_runs_lists_both_newest_first(home: Path, frozen: Any, full: Any) -> None:
    listed = document(thaw("runs", "--json", THAW_HOME=str(home)))
    assert [run["run_id"] for run in listed] == [full["run_id"], frozen["run_id"]]
    assert listed[1]["best_val_accuracy"] == frozen["best_val_accuracy"]


def test_runs_shows_ids_names_and_statuses_to_people(home: Path, frozen: Any, full: Any) -> None:
    shown = thaw("runs", THAW_HOME=str(home))
    assert shown.returncode == 0, shown.stderr
    for text in (frozen["run_id"][:8], full["run_id"][:8], "finished", "Ünterwegs [draft] [/x]"):
        assert text in shown.stdout


def test_show_gives_the_document_that_train_printed(home: Path, frozen: Any) -> None:
    shown = document(thaw("show", frozen["run_id"], "--json", THAW_HOME=str(home)))
    assert shown == frozen


def test_show_takes_the_beginning_of_an_id(home: Path, frozen: Any, full: Any) -> None:
    run_id, other_id = frozen["run_id"], full["run_id"]
    unique = next(run_id[:n] for n in range(1, 9) if not other_id.startswith(run_id[:n]))
    assert document(thaw("show", unique, "--json", THAW_HOME=str(home))) == frozen


def test_show_lists_settings_and_epochs_for_people(home: Path, full: Any) -> None:
    shown = thaw("show", full["run_id"], THAW_HOME=str(home))
    assert shown.returncode == 0, shown.stderr
    for text in ("optimiser.lr", "0.002", "finished", "[draft] [/x]"):
        assert text in shown.stdout


def test_compare_names_what_differs(home: Path, frozen: Any, full: Any) -> None:
    compared = document(
        thaw("compare", frozen["run_id"], full["run_id"], "--json", THAW_HOME=str(home))
    )
    assert [run["run_id"] for run in compared["runs"]] == [frozen["run_id"], full["run_id"]]
    assert compared["differing_settings"]["strategy.name"] == ["frozen", "full"]
    assert [way["runs"] for way in compared["ways"]] == [[frozen["run_id"]], [full["run_id"]]]
    accuracy = compared["ways"][0]["accuracy"]
    assert accuracy["value"] == pytest.approx(frozen["best_val_accuracy"], abs=1e-6)
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    [pair] = compared["pairs"]
    assert pair["images"] == frozen["val_images"]
    assert pair["method"] == "McNemar"
    assert f"{pair['images']} images" in pair["verdict"]
    assert "one seed each" in compared["cautions"][0]
    assert set(compared["differing_settings"]) == {
        "strategy.name",
        "optimiser.lr",
        "training.epochs",
        "seed",
    }
    assert compared["warnings"] == []


def test_compare_tells_all_that_is_known(home: Path, frozen: Any, full: Any) -> None:
    ids = [frozen["run_id"], full["run_id"]]
    told = document(thaw("compare", *ids, "--json", THAW_HOME=str(home)))
    assert told["untold"] == []
    assert [one["run_id"] for one in told["classes"]["runs"]] == ids
    assert told["images"]["runs"] == ids
    assert len(told["images"]["judged"]) == frozen["val_images"]
    answers = [image["answers"] for image in told["images"]["judged"]]
    right = sum(
        image["label"] == one[0]["named"]
        for image, one in zip(told["images"]["judged"], answers, strict=True)
    )
    assert right / len(answers) == pytest.approx(frozen["best_val_accuracy"], abs=1e-6)
    by_run = {one["run_id"]: one for one in told["layers"]}
    assert set(by_run) == set(ids)
    assert {drift for stage in by_run[ids[0]]["stages"] for drift in stage["drift"]} == {0.0}
    assert all(stage["drift"][-1] > 0.0 for stage in by_run[ids[1]]["stages"])
    assert told["costs"]
    # Neither was worked out for these runs.
    assert told["shift"] is None
    assert told["embeddings"] == []


def test_compare_puts_runs_side_by_side_for_people(home: Path, frozen: Any, full: Any) -> None:
    shown = thaw("compare", frozen["run_id"], full["run_id"], THAW_HOME=str(home), COLUMNS="160")
    assert shown.returncode == 0, shown.stderr
    for text in ("best val accuracy", "parameters trained", "strategy.name", "[draft] [/x]"):
        assert text in shown.stdout


def test_compare_wants_two_runs(home: Path, frozen: Any) -> None:
    alone = thaw("compare", frozen["run_id"], THAW_HOME=str(home))
    assert alone.returncode != 0
    assert "at least two runs" in alone.stderr


def test_an_unknown_run_is_a_sentence(home: Path) -> None:
    for command in ("show", "stop"):
        assert "There is no run 'zzz'" in refusal(thaw(command, "zzz", THAW_HOME=str(home)))


def test_stopping_a_run_that_has_ended_says_so(home: Path, frozen: Any) -> None:
    said = thaw("stop", frozen["run_id"], THAW_HOME=str(home))
    assert said.returncode == 0
    assert "already ended: finished" in said.stdout


def test_stop_json_prints_one_document(home: Path, frozen: Any) -> None:
    said = document(thaw("stop", frozen["run_id"], "--json", THAW_HOME=str(home)))
    assert said["run_id"] == frozen["run_id"]
    assert said["status"] == "finished"


def test_stopping_a_run_that_goes_on_asks_it_to(thaw_home: Path) -> None:
    store = Store()
    [run] = store.add_runs([("pretended", tiny_spec("photos"))])
    claimed = store.claim_next(1, "elsewhere.example")
    assert claimed is not None
    said = thaw("stop", run.id)
    assert said.returncode == 0, said.stderr
    assert "was asked to stop" in said.stdout
    assert store.run(run.id).status == "stopping"
    store.close()


def test_training_shows_progress_to_people_on_stderr(tiny_folder: Path) -> None:
    shown = thaw("train", "--data", str(tiny_folder), "--epochs", "1", *TINY)
    assert shown.returncode == 0
    assert shown.stdout == ""
    said = " ".join(shown.stderr.split())
    for text in ("18 images to train on, 6 to validate on, 3 classes", "epoch 1", "finished"):
        assert text in said


def test_a_run_that_fails_has_exit_code_1_and_a_document(own_folder: Path) -> None:
    for file in (own_folder / "fruit").iterdir():
        file.write_bytes(b"no picture")
    failed = thaw("train", "--data", str(own_folder), *TINY, "--json")
    assert failed.returncode == 1
    printed = json.loads(failed.stdout)
    assert printed["status"] == "failed"
    assert "'fruit'" in printed["reason"]
    assert printed["best_val_accuracy"] is None
    assert printed["epochs"] == []


# ---- logs and samples


def test_the_log_of_a_run_and_of_the_service(tiny_folder: Path) -> None:
    assert "Nothing is written" in thaw("log").stdout
    # The first command makes the home that its log lies in.
    assert document(thaw("runs", "--json")) == []
    assert "There is no run 'ffff'" in refusal(thaw("log", "ffff"))
    refusal(thaw("train", "--data", str(tiny_folder / "none")))
    told = document(thaw("log", "--json"))
    assert [one["event"] for one in told["entries"]] == ["command started", "command refused"]
    assert "command refused" in thaw("log", "--level", "warning").stdout
    assert "command started" not in thaw("log", "--level", "warning").stdout
    assert document(thaw("log", "--lines", "1", "--json"))["has_earlier"]


def test_the_log_of_a_run_that_is_going_on_is_followed_to_its_end(
    tiny_folder: Path, thaw_home: Path
) -> None:
    trained = thaw("train", "--data", str(tiny_folder), "--epochs", "1", *TINY, "--json")
    run_id = document(trained)["run_id"]
    shown = thaw("log", run_id[:5], "--follow")
    assert shown.returncode == 0
    for event in ("run queued", "run claimed", "worker begins", "epoch done", "run finished"):
        assert f"  {event}  " in shown.stdout
    followed = [
        json.loads(line) for line in thaw("log", run_id, "--follow", "--json").stdout.splitlines()
    ]
    assert {one["run"] for one in followed} == {run_id}
    # A store that is damaged hides no log.
    (thaw_home / "thaw.db").write_bytes(b"no database")
    assert "epoch done" in thaw("log", run_id).stdout


def test_sample_data_is_written_and_can_be_trained_on(tmp_path: Path) -> None:
    written = document(thaw("sample-data", "my samples", "--json", cwd=tmp_path))
    assert set(written) == {"clipart", "digits"}
    assert (tmp_path / "my samples" / "clipart" / "base" / "train" / "birds").is_dir()
    assert len(list((tmp_path / "my samples" / "digits").glob("*/*.png"))) == 1797


def test_sample_data_writes_nothing_over(tmp_path: Path) -> None:
    (tmp_path / "clipart").mkdir()
    assert "already exists" in refusal(thaw("sample-data", str(tmp_path)))
    shutil.rmtree(tmp_path / "clipart")
    assert thaw("sample-data", str(tmp_path)).returncode == 0


def test_no_runs_yet() -> None:
    assert document(thaw("runs", "--json")) == []
    assert "No runs yet" in thaw("runs").stdout
