"""Every setting, one dataclass per part; the defaults are the paper's and those of its released
configuration. Impossible values are refused when the record is made.
"""

from elite.config._records import from_plain, plain
from elite.config.data import AugmentConfig, CutmixConfig, DataConfig, ImageConfig
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
    "ImageConfig",
    "ImageDataConfig",
    "LossConfig",
    "OptimConfig",
    "PseudoLabelConfig",
    "SelfTrainingConfig",
    "StudentConfig",
    "TeacherConfig",
    "TeacherTrainingConfig",
    "TrainConfig",
    "VoteConfig",
    "from_plain",
    "plain",
]
