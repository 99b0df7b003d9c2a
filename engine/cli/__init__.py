"""The command line: `thaw` and its commands."""

import sys

from engine.cli.app import app
from engine.errors import ThawError

__all__ = ["main"]


def main() -> None:
    """Runs the command line; an error that a person can mend is one sentence on stderr."""
    import engine.cli.blends
    import engine.cli.cache
    import engine.cli.frontier
    import engine.cli.lr_finder
    import engine.cli.models
    import engine.cli.runs
    import engine.cli.samples
    import engine.cli.search
    import engine.cli.serve
    import engine.cli.settings
    import engine.cli.steering
    import engine.cli.survey
    import engine.cli.train  # noqa: F401

    try:
        app()
    except ThawError as error:
        if "--json" in sys.argv:
            import json

            print(json.dumps({"error": str(error)}))
        print(f"thaw: {error}", file=sys.stderr)
        sys.exit(1)
