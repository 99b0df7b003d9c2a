"""The command line: `thaw` and its commands."""

import io
import sys
from typing import NoReturn

from engine.cli.app import app
from engine.cli.logged import run_logged
from engine.errors import ThawError
from engine.redact import redacted

__all__ = ["main"]


def main() -> None:
    """Runs the command line; an error that a person can mend is one sentence on stderr.

    What `thaw` does without a command is in `serve`; other commands are imported when used.
    """
    import engine.cli.serve  # noqa: F401

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold what no text does.
        sys.stdout.reconfigure(errors="replace")
    try:
        run_logged(app)
    except ThawError as error:
        _refuse(str(error))
    except Exception as error:
        from engine.runs.patience import is_away, why_away

        if not is_away(error):
            raise
        _refuse(f"The store of runs cannot be reached ({why_away(error)}); try again.")


def _refuse(sentence: str) -> NoReturn:
    """Says why a command could not be done, and ends."""
    sentence = redacted(sentence)
    if "--json" in sys.argv:
        import json

        print(json.dumps({"error": sentence}))
    print(f"thaw: {sentence}", file=sys.stderr)
    sys.exit(1)
