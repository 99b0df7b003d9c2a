"""What was found of a new batch, in plain words. No torch.

What is said follows from thresholds: `differs` where p is at most LARGEST_P and the AUC's interval
lies above chance, in which case how much is said by the AUC (SLIGHT, CLEAR); see `batch_drift`.
"""

from collections.abc import Callable, Sequence

from engine.insight.batch_drift import BatchDrift, ClassDrift, NewClass
from engine.insight.intervals import Estimate
from engine.insight.two_samples import LEAST, Alikeness

# Below the first a difference is slight, from the second on the two are nothing alike.
SLIGHT, CLEAR = 0.7, 0.9
# A class is named where its new images lie so many standard deviations farther than its old ones.
FARTHER = 0.1
NAMED = 6

Name = Callable[[str], str]


def drift_verdict(found: BatchDrift, name: Name = repr) -> tuple[str, ...]:
    """Returns what was found in sentences, the most telling first.

    Args:
        found: of a batch.
        name: how the name of a class is written.
    """
    told = (_overall(found), _classes(found, name), _new_classes(found, name), _norms(found, name))
    return tuple(filter(None, told))


def _overall(found: BatchDrift) -> str:
    one = found.overall
    if one is None:
        return _without_shared(found)
    sure = f"{chances(one.auc)}; p = {one.p:.2g}"
    picked = (
        f"given one of each, from the same mix of classes, a classifier picks the new one {sure}"
    )
    if found.overall_finding == "differs":
        return f"The new images {_how_far(one.auc)}: {picked}."
    if found.overall_finding == "alike":
        return (
            f"The new images are not told from the old ones: {picked}. A difference by which it "
            f"would be right more than {100 * one.auc.high:.0f} times is unlikely; a smaller one "
            "may be there."
        )
    return (
        f"Whether the new images are like the old ones is not clear: {picked}. The two tests do "
        "not agree; more images would tell."
    )


def _without_shared(found: BatchDrift) -> str:
    why = (
        f"the classes that both have hold fewer than {LEAST} images on a side"
        if found.classes
        else "the model knows none of their classes"
    )
    if found.whole is None:
        return f"Whether the new images are like the old ones cannot be said: {why}."
    return (
        f"Class by class nothing can be said, since {why}. Taken all together, given an old and a "
        f"new image, a classifier picks the new one {chances(found.whole.auc)}; "
        f"p = {found.whole.p:.2g}. Other classes alone would do that, too."
    )


def _how_far(auc: Estimate) -> str:
    if auc.value < SLIGHT:
        return "differ slightly from the old ones"
    return "differ from the old ones" if auc.value < CLEAR else "are nothing like the old ones"


def chances(auc: Estimate) -> str:
    """Returns an AUC in words, with its interval."""
    value, low, high = (100 * one for one in (auc.value, auc.low, auc.high))
    return f"{value:.0f} times of 100 (95 % interval {low:.0f} to {high:.0f}; chance is 50)"


def _classes(found: BatchDrift, name: Name) -> str:
    differ = [one for one in found.classes if one.finding == "differs"]
    tested = [one for one in found.classes if one.alikeness is not None]
    small = [one for one in found.classes if one.alikeness is None]
    parts = []
    if differ:
        worst_first = sorted(differ, key=lambda one: -_auc(one).value)
        verb = "differs" if len(differ) == 1 else "differ"
        parts.append(
            f"Of {_count(len(tested))} compared, {_listed(worst_first, name)} {verb} from the old "
            "images of the class."
        )
    elif tested:
        parts.append(f"Of {_count(len(tested))} compared, none is told from its old images.")
    unclear = [one for one in found.classes if one.finding == "unclear"]
    if unclear:
        parts.append(f"Not clear: {_listed(unclear, name)}.")
    if small:
        parts.append(
            f"Too small to compare (fewer than {LEAST} old or new images): {_listed(small, name)}."
        )
    return " ".join(parts)


def _new_classes(found: BatchDrift, name: Name) -> str:
    if not found.new_classes:
        return ""
    shown = ", ".join(_nearest(one, name) for one in found.new_classes[:NAMED])
    left = len(found.new_classes) - NAMED
    parts = [f"New to the model: {shown}{f' and {left:,} more' if left > 0 else ''}."]
    same = [one for one in found.new_classes if one.finding == "alike" and one.nearest]
    parts += [
        f"{name(one.name)} is not told from {name(one.nearest[0][0])}: is it the same class under "
        "another name?"
        for one in same[:NAMED]
    ]
    return " ".join(parts)


def _nearest(one: NewClass, name: Name) -> str:
    if not one.nearest:
        return f"{name(one.name)} (no image to compare)"
    near, share = one.nearest[0]
    return f"{name(one.name)} (nearest: {name(near)}, {100 * share:.0f} % of its images)"


def _norms(found: BatchDrift, name: Name) -> str:
    norms = found.norms
    if norms is None:
        return found.why_no_norms
    new, old, more = norms.new, norms.old, norms.more
    farther = _farther(found, name)
    compared = (
        f"From what the backbone was pre-trained on, the new images lie {_deviations(new)} "
        f"standard deviations and the old ones {_deviations(old)}"
    )
    if more.low > 0.0:
        told = f"{compared}: the new ones lie farther, by {more.value:.2f}."
    elif more.high < 0.0:
        told = f"{compared}: the new ones lie nearer, by {-more.value:.2f}."
    else:
        told = f"{compared}: no difference is seen."
    return f"{told} {farther}".strip()


def _farther(found: BatchDrift, name: Name) -> str:
    """Returns the classes that lie farther than before, which all classes together may hide."""
    pairs = [
        (one.new_shift - one.old_shift, one)
        for one in found.classes
        if one.old_shift is not None and one.new_shift is not None
    ]
    far = sorted((pair for pair in pairs if pair[0] >= FARTHER), key=lambda pair: -pair[0])
    if not far:
        return ""
    shown = ", ".join(
        f"{name(one.name)} ({one.new_shift:.2f} against {one.old_shift:.2f})"
        for _, one in far[:NAMED]
    )
    return f"Farther than their old images lie those of {shown}."


def _deviations(one: Estimate) -> str:
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def _auc(one: ClassDrift) -> Estimate:
    alikeness: Alikeness | None = one.alikeness
    assert alikeness is not None
    return alikeness.auc


def _count(num: int) -> str:
    return "one known class" if num == 1 else f"{num:,} known classes"


def _listed(classes: Sequence[ClassDrift], name: Name) -> str:
    shown = [
        name(one.name) + (f" (AUC {_auc(one).value:.2f})" if one.finding == "differs" else "")
        for one in classes[:NAMED]
    ]
    more = f" and {len(classes) - NAMED} more" if len(classes) > NAMED else ""
    return ", ".join(shown) + more
