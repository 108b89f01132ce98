"""Commands about the teacher: train a small foundation model."""

from jsonargparse import ArgumentParser

from elite.cli.parsing import parse_config
from elite.errors import require_extra
from elite.terminal import say


def train_teacher(parser: ArgumentParser, argv: list[str]) -> int:
    """Train a small vision foundation model on images only, for --teacher.weights: --data.root ROOT --out OUT."""
    from elite.config import TeacherTrainingConfig

    _, config = parse_config(parser, argv, TeacherTrainingConfig)
    require_extra("lightning", "train")
    require_extra("transformers", "teacher")
    from elite.teacher_training import train_teacher

    result = train_teacher(config)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in result.scores.items())
    say(f"foundation model {result.folder} ({scores})")
    return 0
