"""`thaw steer` and `thaw replay`, as a person or a script runs them."""

import json
from collections.abc import Iterator

import pytest

from engine.runs.store import Run, Store
from engine.spec import Act
from tests.engine.commands import TINY, document, refusal, thaw
from tests.engine.specs import tiny_spec
from tests.pretend import act_event


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


@pytest.fixture
def going(store: Store) -> Run:
    """A run that goes on, as far as the store knows."""
    [run] = store.add_runs([("pretended", tiny_spec("photos", {"strategy.name": "full"}))])
    assert store.claim_next(1, "elsewhere.example") is not None
    return run


def acts_of(store: Store, run: Run) -> list[Act]:
    return [act for _, act in store.acts(run.id)]


def test_every_option_asks_the_run(store: Store, going: Run) -> None:
    said = document(
        thaw(
            *("steer", going.id[:6], "--freeze", "stem", "--freeze", "block1"),
            *("--unfreeze", "block7", "--lr", "head=0.5", "--lr", "backbone=2", "--json"),
        )
    )
    assert said == {
        "run_id": going.id,
        "asked": [
            {"kind": "freeze", "target": "stem", "factor": 1.0},
            {"kind": "freeze", "target": "block1", "factor": 1.0},
            {"kind": "unfreeze", "target": "block7", "factor": 1.0},
            {"kind": "lr", "target": "head", "factor": 0.5},
            {"kind": "lr", "target": "backbone", "factor": 2.0},
        ],
    }
    assert [act.model_dump(exclude={"step"}) for act in acts_of(store, going)] == said["asked"]


def test_it_says_to_people_what_was_asked(going: Run) -> None:
    said = thaw("steer", going.id, "--freeze", "stem", "--lr", "head=0.1")
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == [
        f"Run {going.id} was asked: stem frozen.",
        f"Run {going.id} was asked: learning rate of head × 0.1.",
    ]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--freeze", "stem", "--freeze", "block99"], "'block99'; the stages of"),
        (["--freeze", "head"], "takes the name of a stage"),
        (["--freeze", "stem", "--lr", "head"], "write --lr TARGET=FACTOR"),
        (["--lr", "head=fast"], "factor is 'fast'"),
        (["--lr", "head=0"], "must be a number from 0.001 to 1000"),
        (["--lr", "nobody=0.5"], "'nobody'; the stages of"),
    ],
)
def test_what_makes_no_sense_is_refused_as_a_whole(
    store: Store, going: Run, options: list[str], why: str
) -> None:
    assert why in refusal(thaw("steer", going.id, *options))
    assert acts_of(store, going) == []


def test_nothing_to_change_is_a_usage_error(going: Run) -> None:
    said = thaw("steer", going.id)
    assert said.returncode == 2
    assert "say what to change" in " ".join(said.stderr.split())


def test_a_run_that_has_ended_cannot_be_steered(store: Store, going: Run) -> None:
    store.set_status(going.id, "finished")
    assert "only a run that is going on" in refusal(thaw("steer", going.id, "--freeze", "stem"))


def test_a_run_that_goes_on_cannot_be_replayed(store: Store, going: Run) -> None:
    assert "only a run that has ended can be replayed" in refusal(thaw("replay", going.id))
    assert len(store.all_runs()) == 1


@pytest.mark.slow
def test_a_replay_is_followed_to_its_end_and_does_the_same(
    store: Store, tiny_folder: object
) -> None:
    trained = document(thaw("train", "--data", str(tiny_folder), "--epochs", "2", *TINY, "--json"))
    assert trained["acts"] == []
    act = Act(kind="lr", target="head", factor=0.1)
    store.append(trained["run_id"], [act_event(2, 4, act)])
    replayed = thaw("replay", trained["run_id"], "--json")
    again = document(replayed)
    assert replayed.stderr == ""
    assert again["name"] == f"Replay of {trained['name']}"
    assert again["status"] == "finished"
    assert again["acts"] == [{"epoch": 2, "step": 4, "kind": "lr", "target": "head", "factor": 0.1}]
    assert again["epochs"][1]["lr"] == pytest.approx(0.1 * trained["epochs"][1]["lr"])
    for name in ("train_loss", "val_loss", "lr"):
        assert again["epochs"][0][name] == trained["epochs"][0][name]
    shown = thaw("show", again["run_id"], "--json")
    assert json.loads(shown.stdout) == again
