"""Which class of new images is which of the model's: equal, close, or new."""

import pytest

from engine.errors import DataError
from engine.update.names import NEW, match_classes

MODEL = ("birds", "Hot dog", "flowers")


def test_equal_names_are_the_same_class_and_others_are_new() -> None:
    found = match_classes(MODEL, ("birds", "trucks")).settled()
    assert found.known == {"birds": "birds"}
    assert found.new == ("trucks",)


@pytest.mark.parametrize("name", ["Birds", "bird", "hot_dog", "HOTDOG", "flôwers"])
def test_a_close_name_is_asked_about(name: str) -> None:
    found = match_classes(MODEL, (name, "trucks"))
    assert list(found.open) == [name]
    assert found.new == ("trucks",)
    assert found.known == {}
    with pytest.raises(DataError, match=f"--same {name}="):
        found.settled()


def test_the_closest_is_named_first() -> None:
    assert match_classes(("blackbirds", "birds"), ("bird",)).open["bird"] == ("birds",)
    assert match_classes(("cat 12", "cat 1"), ("cat 1x",)).open["cat 1x"][0] == "cat 1"


def test_answers_settle_it() -> None:
    found = match_classes(MODEL, ("bird", "hotdog"), {"bird": "birds", "hotdog": NEW}).settled()
    assert found.known == {"bird": "birds"}
    assert found.new == ("hotdog",)


def test_two_folders_may_be_one_class() -> None:
    found = match_classes(MODEL, ("sparrows", "birds"), {"sparrows": "birds"}).settled()
    assert found.known == {"sparrows": "birds", "birds": "birds"}


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"trucks": NEW}, "no class 'trucks' in the new images; they have bird"),
        ({"bird": "trucks"}, "model has no class 'trucks'; it has birds, Hot dog, flowers"),
    ],
)
def test_answers_about_nothing_are_refused(answers: dict[str, str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        match_classes(MODEL, ("bird",), answers)


def test_a_class_of_the_model_is_no_new_one() -> None:
    with pytest.raises(DataError, match="has a class 'birds' already"):
        match_classes(MODEL, ("birds",), {"birds": NEW})
