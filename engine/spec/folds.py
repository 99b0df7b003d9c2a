"""Cross-validation: a spec for each part of the images that is held back."""

from engine.spec.run import RunSpec


def fold_specs(spec: RunSpec) -> list[RunSpec]:
    """Returns a spec for each fold of cross-validation; the spec itself where there is none."""
    if not spec.data.folds:
        return [spec]
    folds = range(1, spec.data.folds + 1)
    return [
        spec.model_copy(update={"data": spec.data.model_copy(update={"fold": fold})})
        for fold in folds
    ]


def fold_label(spec: RunSpec) -> str:
    """Returns what a run's name says of its fold; nothing where there is none."""
    return f" · fold {spec.data.fold} of {spec.data.folds}" if spec.data.folds else ""
