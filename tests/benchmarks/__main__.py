"""`make bench`: runs every benchmark, or those named, and prints what each measured."""

import sys

from tests.benchmarks import (
    accuracy,
    backbone_choice,
    data_page,
    extraction,
    first_point,
    instant_head,
    live_latency,
    many_images,
    scaling,
    scan,
    side_by_side,
    startup,
    steps,
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
    "scaling": scaling,
    "many_images": many_images,
    "scan": scan,
    "data_page": data_page,
    "watched_training": watched_training,
}


def main() -> None:
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"\n{name}: {BENCHMARKS[name].__doc__}", flush=True)
        BENCHMARKS[name].main()


if __name__ == "__main__":
    main()
