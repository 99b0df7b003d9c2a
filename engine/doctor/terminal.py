"""Letters: whether names with umlauts and the like can be read and written."""

import codecs
import locale
import sys

from engine.doctor.finding import Finding, ok, warning


def letters() -> Finding:
    """Looks whether files' names and texts are in UTF-8."""
    names = {
        "files' names": sys.getfilesystemencoding(),
        "texts": locale.getpreferredencoding(False),
    }
    if sys.stdout is not None and sys.stdout.encoding:
        names["the terminal"] = sys.stdout.encoding
    other = {what: code for what, code in names.items() if not _is_utf8(code)}
    if other:
        told = ", ".join(f"{what} in {code}" for what, code in other.items())
        return warning(
            f"Not all letters can be shown or named: {told}.",
            "Start Thaw with LC_ALL=C.UTF-8 or PYTHONUTF8=1.",
            **names,
        )
    return ok("Names and texts are in UTF-8.", **names)


def _is_utf8(code: str) -> bool:
    try:
        return codecs.lookup(code).name == "utf-8"
    except LookupError:
        return False
