"""What a comparison says, in plain words. No torch here."""

from collections.abc import Callable, Sequence

from engine.insight.experiment import Pair, Way

Name = Callable[[Way], str]


def label_of_way(way: Way) -> str:
    """Returns a way's own label."""
    return way.label


def verdict(pair: Pair, name: Name = label_of_way) -> str:
    """Returns in a sentence or two whether one way is better than another.

    Args:
        pair: the two.
        name: gives what a way is called.
    """
    first, second = name(pair.first), name(pair.second)
    one = pair.difference
    points = f"{100 * one.estimate.value:.1f} points"
    between = f"{100 * one.estimate.low:.1f} to {100 * one.estimate.high:.1f}"
    if pair.is_real:
        return (
            f"{first} is better than {second} on {_images(one.num_images)}: by {points} (between "
            f"{between}){_over_seeds(pair)}.{_alone(pair)} Chance alone does that "
            f"{_how_often(pair.adjusted_p)}."
        )
    lead = (
        f"{first} leads by {points} (between {between}), which may be chance"
        if one.estimate.value
        else "they get equally many right"
    )
    return (
        f"{first} and {second} cannot be told apart on {_images(one.num_images)}"
        f"{_over_seeds(pair)}: {lead}.{_alone(pair)}{_to_tell(pair)}"
    )


def _images(number: int) -> str:
    return f"{number:,} image" + ("s" if number != 1 else "")


def _over_seeds(pair: Pair) -> str:
    one, other = pair.seeds
    if one == other == 1:
        return ""
    return f", over {one} seeds each" if one == other else f", over {one} and {other} seeds"


def _alone(pair: Pair) -> str:
    if pair.seeds != (1, 1):
        return ""
    first, second = pair.difference.only_first, pair.difference.only_second
    return f" The one alone gets {first:.0f} right, the other alone {second:.0f}."


def _how_often(p_value: float) -> str:
    return f"less than once in {10_000:,}" if p_value < 1e-4 else f"once in {round(1 / p_value):,}"


def _to_tell(pair: Pair) -> str:
    needed = pair.difference.images_to_tell
    if pair.difference.estimate.value == 0:
        return ""
    if needed is None:
        return " More images would not tell; more seeds may."
    more = max(0, needed - pair.difference.num_images)
    if not more:
        return ""
    return f" If that is what it is, about {_rounded(more)} more validation images would tell."


def _rounded(number: int) -> str:
    """Returns a number to two digits, since it is a rough one."""
    step = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // step) * step:,}"


def cautions(ways: Sequence[Way], name: Name = label_of_way) -> list[str]:
    """Returns what a person must know before believing the numbers, a sentence each."""
    single = [name(way) for way in ways if len(way.seeds) == 1]
    found = []
    if single and len(ways) > 1:
        found.append(
            f"{', '.join(single)}: one seed each, so what is compared are these very models. "
            "Another seed makes another model; three seeds or more compare the ways of training."
        )
    unfinished = [one.run.id for way in ways for one in way.reports if one.run.status != "finished"]
    if unfinished:
        found.append(
            f"{len(unfinished)} of the runs did not finish ({', '.join(unfinished[:5])}); their "
            "best epoch so far is what counts."
        )
    return found
