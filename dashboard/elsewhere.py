"""What cannot be done here with a run that came from another machine, and why. No Streamlit."""

from dashboard.roots import allowed_images, allowed_weights, require_allowed_images
from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import DataError, SpecError, WeightsError
from engine.runs.importing import is_from_elsewhere
from engine.runs.store import Run
from engine.update.known import checkpoint_of, is_run


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
    reason = why_no_images(run) or _why_no_weights(run) or _why_no_start(run)
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


def _why_no_start(run: Run) -> str:
    """Returns why what a run from elsewhere updates may not be read here, or its images."""
    start = run.spec.update.start
    if not is_from_elsewhere(run) or not start:
        return ""
    try:
        if not is_run(start):
            allowed_weights(start)
        beside = checkpoint_of(start).parent / MANIFEST_FILE
        if beside.is_file():
            require_allowed_images(Manifest.from_file(beside), f"run {start}")
    except (DataError, WeightsError) as error:
        return str(error)
    return ""
