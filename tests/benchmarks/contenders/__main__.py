"""`python -m tests.benchmarks.contenders NAME TASK`: prints a Timing as JSON."""

import json
import sys
from dataclasses import asdict

from tests.benchmarks.contenders import Task, run

if __name__ == "__main__":
    print(json.dumps(asdict(run(sys.argv[1], Task(**json.loads(sys.argv[2]))))))
