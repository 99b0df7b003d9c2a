"""Says as JSON whether a file of weights fits: `-m engine.models.check_file NAME SIZE FILE`."""

import json
import sys
import warnings
from pathlib import Path

import torch

from engine.errors import ThawError
from engine.models.catalogue import backbone_record
from engine.models.headless import build_headless
from engine.models.own_weights import match, size_hint
from engine.models.weights import read_tensors


def main(name: str, size: int, file: Path) -> None:
    """Prints what of the file matches; a file that cannot be read fits nothing."""
    warnings.simplefilter("ignore")
    try:
        tensors = read_tensors(file)
        record = backbone_record(name)
        torch.manual_seed(0)
        network = build_headless(record, size, None)
        report = match(network, tensors, file)
        hint = size_hint(record, size) if report.misshapen else ""
        answer = {"fits": report.fits, "sentence": f"{report.sentence()}{hint}."}
    except ThawError as error:
        answer = {"fits": False, "sentence": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
