"""THAW_HOME: the one folder in which Thaw keeps runs, caches and its store."""

import os
import tempfile
from pathlib import Path

import platformdirs

from engine.errors import HomeError

# In a run's folder: the model that is kept, and which weights it started from.
CHECKPOINT_FILE = "best.safetensors"
WEIGHTS_FILE = "weights.json"


def home_path() -> Path:
    """Returns where THAW_HOME is or would be; nothing is created."""
    configured = os.environ.get("THAW_HOME")
    return Path(configured).expanduser() if configured else platformdirs.user_data_path("thaw")


def thaw_home() -> Path:
    """Returns THAW_HOME, created and proven writable.

    Raises:
        HomeError: the folder cannot be created or written.
    """
    home = home_path()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise HomeError(
            f"Thaw cannot write to its folder {home} ({error.strerror or error}); set THAW_HOME "
            "to a folder that you may write to, for example THAW_HOME=~/thaw."
        ) from error
    return home.resolve()


def run_folder(run_id: str) -> Path:
    """Returns the folder that holds the spec, checkpoints and predictions of one run."""
    return thaw_home() / "runs" / run_id


def cache_folder(name: str) -> Path:
    """Returns the cache folder called `name` below THAW_HOME, created if need be."""
    folder = thaw_home() / "cache" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
