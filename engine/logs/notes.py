"""How code says what happened."""

import logging
from typing import Any

from engine.logs.lines import FIELDS, RUN

ROOT = "thaw"


def note(
    who: str,
    event: str,
    level: int = logging.INFO,
    run: str = "",
    error: BaseException | None = None,
    **fields: Any,
) -> None:
    """Writes an event to the log of this process, and to that of the run that it is about.

    Nothing is written where logs were not started, as in tests and in programs of others.

    Args:
        who: part of Thaw that says so, such as `runs`.
        event: what happened, in a few words that are the same each time.
        level: of the logging module.
        run: id of the run that it is about.
        error: whose traceback is told, too.
        **fields: all else that is to be told, as plain data.
    """
    logger = logging.getLogger(f"{ROOT}.{who}")
    if logger.isEnabledFor(level):
        logger.log(level, "%s", event, exc_info=error, extra={FIELDS: fields, RUN: run})


# Without a handler, Python itself would print warnings.
logging.getLogger(ROOT).addHandler(logging.NullHandler())
