"""What a comparison under shift says, in plain words. No torch here."""

from collections.abc import Callable

from engine.insight.differences import Difference
from engine.insight.shift_pairs import REAL, ShiftPair

Name = Callable[[str], str]


def shift_verdict(pair: ShiftPair, other_folder: bool, name: Name = str) -> str:
    """Returns in a few sentences whether two ways change places under shift.

    Args:
        pair: the two.
        other_folder: whether the shifted images are those of another folder.
        name: gives what a way is called, from its label.
    """
    where = "on the other folder" if other_folder else "on corrupted images"
    return f"{_order(pair, where, name)} {_leads(pair, where, name)} {_change(pair, name)}"


def _order(pair: ShiftPair, where: str, name: Name) -> str:
    first, second = name(pair.first), name(pair.second)
    if pair.is_change_real:
        return (
            f"{first} and {second} change places, beyond chance: {first} is better on images as "
            f"they are, {second} {where}."
        )
    if max(pair.clean_p, pair.shifted_p) < REAL:
        return f"The order stays, beyond chance: {first} is better than {second} on both."
    if pair.shifted_p < REAL:
        better = first if pair.shifted.estimate.value > 0 else second
        return (
            f"{first} and {second} cannot be told apart on images as they are; {where} {better} is "
            "better, beyond chance."
        )
    if pair.clean_p < REAL:
        return (
            f"{first} is better than {second} on images as they are, beyond chance; {where} they "
            "cannot be told apart."
        )
    if pair.changes_places:
        return (
            f"{first} and {second} seem to change places, which may be chance: neither lead can be "
            "told from none."
        )
    return f"{first} and {second} cannot be told apart on either side."


def _leads(pair: ShiftPair, where: str, name: Name) -> str:
    clean = _lead(pair.clean, pair.clean_p, pair, name)
    shifted = _lead(pair.shifted, pair.shifted_p, pair, name)
    number = f"{where} ({_images(pair.num_shifted)})"
    return f"On {_images(pair.num_clean)} as they are {clean}; {number} {shifted}."


def _lead(difference: Difference, p_value: float, pair: ShiftPair, name: Name) -> str:
    one = difference.estimate
    if one.value == 0:
        return "they get equally many right"
    leader = name(pair.first if one.value > 0 else pair.second)
    low, high = sorted(100 * abs(end) * _sign(end, one.value) for end in (one.low, one.high))
    chance = "" if p_value < REAL else ", which may be chance"
    return f"{leader} leads by {100 * abs(one.value):.1f} points ({low:.1f} to {high:.1f}{chance})"


def _sign(end: float, value: float) -> int:
    """Returns 1 for an end of an interval on the side of its value, else -1."""
    return 1 if end * value >= 0 else -1


def _change(pair: ShiftPair, name: Name) -> str:
    change = pair.change
    points = f"{100 * abs(change.value):.1f} points"
    sure = "beyond chance" if pair.change_p < REAL else "which may be chance"
    if change.value == 0:
        return "The shift changes nothing in the lead."
    gaining = name(pair.first if change.value > 0 else pair.second)
    return f"The shift moves the lead by {points} towards {gaining}, {sure}."


def _images(number: int) -> str:
    return f"{number:,} image" + ("" if number == 1 else "s")
