"""Settings, one dataclass per part. Defaults are those of the paper and of its released configuration.

A dataclass refuses impossible values when it is made.
"""

from elite.config._records import from_plain, is_union, plain
from elite.config.data import (
    AugmentConfig,
    CutmixConfig,
    DataConfig,
    ImageConfig,
    RemissionAugmentConfig,
    SensorAugmentConfig,
)
from elite.config.grid import GridConfig
from elite.config.pseudo_labels import PseudoLabelConfig, VoteConfig
from elite.config.student import StudentConfig
from elite.config.teacher import AdapterConfig, TeacherConfig
from elite.config.teacher_training import ImageDataConfig, TeacherTrainingConfig
from elite.config.training import (
    DistillConfig,
    FaultConfig,
    LossConfig,
    OptimConfig,
    SelfTrainingConfig,
    TrainConfig,
)

__all__ = [
    "AdapterConfig",
    "AugmentConfig",
    "CutmixConfig",
    "DataConfig",
    "DistillConfig",
    "FaultConfig",
    "GridConfig",
    "ImageConfig",
    "ImageDataConfig",
    "LossConfig",
    "OptimConfig",
    "PseudoLabelConfig",
    "RemissionAugmentConfig",
    "SelfTrainingConfig",
    "SensorAugmentConfig",
    "StudentConfig",
    "TeacherConfig",
    "TeacherTrainingConfig",
    "TrainConfig",
    "VoteConfig",
    "from_plain",
    "is_union",
    "plain",
]
