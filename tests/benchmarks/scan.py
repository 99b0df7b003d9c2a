"""`thaw inspect` over 20,000 generated pictures: rate against raw decoding, memory, and once known.

Pictures are 320 x 240 px JPEG files of two kinds of texture, all different. Raw decoding is Pillow
in as many threads, nothing else.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from engine.data.report import inspect_folder
from tests.benchmarks.many_images import own_memory_mib
from tests.benchmarks.served import in_own_process, own_home

COUNTS = (5_000, 20_000)
RAW = 4_000
CLASSES = 8


def main() -> None:
    """Prints pictures a second, the share of raw decoding, and memory."""
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            make_pictures(Path(folder), count)
            with own_home():
                found = in_own_process("scan", folder)
            print(
                f"  {count:,} pictures: {count / found['cold']:.0f} a second "
                f"({count / found['cold'] / found['raw']:.0%} of raw decoding at "
                f"{found['raw']:.0f}), {found['mib']:.0f} MiB; once known {found['warm']:.1f} s; "
                f"{found['findings']} findings",
                flush=True,
            )


def make_pictures(folder: Path, count: int) -> None:
    """Sees to it that there are so many pictures."""
    rng = np.random.default_rng(0)
    for number in range(count):
        file = folder / f"class {number % CLASSES}" / f"{number}.jpg"
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(file)


def measured(folder: Path) -> dict[str, float]:
    """Returns seconds, raw pictures a second and memory."""
    files = sorted(folder.rglob("*.jpg"))[:RAW]
    raw = []
    for _ in range(3):
        started = time.perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda file: Image.open(file).load() and None, files))
        raw.append(len(files) / (time.perf_counter() - started))
    times = []
    for _ in range(2):
        started = time.perf_counter()
        report = inspect_folder(folder)
        times.append(time.perf_counter() - started)
    return {
        "raw": statistics.median(raw),
        "cold": times[0],
        "warm": times[1],
        "mib": own_memory_mib(),
        "findings": len(report.findings),
    }


if __name__ == "__main__":
    print(json.dumps(measured(Path(sys.argv[1]))))
