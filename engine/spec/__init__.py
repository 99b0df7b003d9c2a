"""RunSpec and its parts: all that decides a run's result, and nothing else."""

from engine.fields import Part
from engine.spec.data import DataSpec
from engine.spec.images import Augmentation, Fit, ImageSpec, Normalisation
from engine.spec.model import HeadKind, ModelSpec
from engine.spec.optimiser import OptimiserSpec, ScheduleName
from engine.spec.run import Device, RunSpec, field_info, field_range
from engine.spec.steering import Act
from engine.spec.strategy import StrategySpec
from engine.spec.training import BatchNormMode, ClassBalance, TrainingSpec
from engine.spec.update import ReplayChoice, UpdateSpec

__all__ = [
    "Act",
    "Augmentation",
    "BatchNormMode",
    "ClassBalance",
    "DataSpec",
    "Device",
    "Fit",
    "HeadKind",
    "ImageSpec",
    "ModelSpec",
    "Normalisation",
    "OptimiserSpec",
    "Part",
    "ReplayChoice",
    "RunSpec",
    "ScheduleName",
    "StrategySpec",
    "TrainingSpec",
    "UpdateSpec",
    "field_info",
    "field_range",
]
