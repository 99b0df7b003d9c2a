"""What cannot be done here with a run that came from another machine, and why. No Streamlit."""

from dashboard.roots import allowed_images, allowed_weights
from engine.errors import DataError, SpecError, WeightsError
from engine.runs.importing import is_from_elsewhere
from engine.runs.store import Run


def why_no_images(run: Run) -> str:
    """Returns in a sentence why a run's images cannot be used, where it came from elsewhere.

    Its spec names a folder of another machine, or whatever a stranger wrote there: it may be read
    only where a person could have named it here, too.
    """
    if not is_from_elsewhere(run):
        return ""
    try:
        allowed_images(run.spec.data)
    except (DataError, SpecError) as error:
        return str(error)
    return ""


def why_not_again(run: Run) -> str:
    """Returns in a sentence why a run from elsewhere cannot go on here, nor be done again.

    Empty where it can.
    """
    reason = why_no_images(run) or _why_no_weights(run)
    if not reason:
        return ""
    return f"{run.name} ({run.id}) came from a file and cannot be trained here. {reason}"


def _why_no_weights(run: Run) -> str:
    weights = run.spec.model.weights
    if not is_from_elsewhere(run) or weights in ("pretrained", "random"):
        return ""
    try:
        allowed_weights(weights)
    except WeightsError as error:
        return str(error)
    return ""
