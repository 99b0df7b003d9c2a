"""`make bench`: runs every benchmark, or those named, and prints what each measured.

Options after a name go to that benchmark: `python -m tests.benchmarks many_people --minutes 30`.
"""

import itertools
import sys

from tests.benchmarks import (
    accuracy,
    backbone_choice,
    data_page,
    extraction,
    first_point,
    instant_head,
    layers_cost,
    live_latency,
    long_run,
    many_images,
    many_people,
    many_runs,
    scaling,
    scan,
    side_by_side,
    startup,
    steps,
    updates,
    watched_training,
)

BENCHMARKS = {
    "live_latency": live_latency,
    "first_point": first_point,
    "backbone_choice": backbone_choice,
    "instant_head": instant_head,
    "startup": startup,
    "side_by_side": side_by_side,
    "accuracy": accuracy,
    "extraction": extraction,
    "steps": steps,
    "layers_cost": layers_cost,
    "scaling": scaling,
    "many_images": many_images,
    "scan": scan,
    "data_page": data_page,
    "updates": updates,
    "watched_training": watched_training,
    "long_run": long_run,
    "many_people": many_people,
    "many_runs": many_runs,
}


def main() -> None:
    names = list(itertools.takewhile(lambda text: not text.startswith("-"), sys.argv[1:]))
    options = sys.argv[1 + len(names) :]
    for name in names or BENCHMARKS:
        print(f"\n{name}: {BENCHMARKS[name].__doc__}", flush=True)
        BENCHMARKS[name].main(*([options] if options else []))


if __name__ == "__main__":
    main()
