"""Where logs lie."""

from pathlib import Path

from engine.home import home_path
from engine.logs.files import LineFile

LOG_FILE = "log.jsonl"
OUTPUT_FILE = "worker.log"
SERVICE_KEPT, RUN_KEPT = 3, 1


def service_log(home: Path | None = None) -> LineFile:
    """Returns the log of all that is not about one run's training."""
    return LineFile((home or home_path()) / "logs" / "thaw.jsonl", kept=SERVICE_KEPT)


def run_log(run_id: str, home: Path | None = None) -> LineFile:
    """Returns the log of one run."""
    return LineFile((home or home_path()) / "runs" / run_id / LOG_FILE, kept=RUN_KEPT)


def run_output(run_id: str, home: Path | None = None) -> Path:
    """Returns the file that a run's process writes to, whatever libraries print included."""
    return (home or home_path()) / "runs" / run_id / OUTPUT_FILE
