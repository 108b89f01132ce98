"""Command about the teacher: train a small foundation model."""

from argparse import Namespace

from elite.cli.arguments import add_data
from elite.cli.parser import Command, Parser
from elite.cli.settings import add_settings, configuration
from elite.config import TeacherTrainingConfig
from elite.errors import require_extra
from elite.paths import require_existing
from elite.terminal import say

_SETTINGS = {
    "Run": ("out", "overwrite", "model", "objective", "steps", "lr", "seed"),
    "Data": ("data.sequences", "data.val_sequences", "data.cameras", "data.batch_size", "data.workers", "image.crop"),
    "Hardware": ("accelerator", "precision"),
}


def train_teacher(args: Namespace) -> int:
    """Train a small vision foundation model on camera images, for --teacher.weights of 'elite train'."""
    config = configuration(args, TeacherTrainingConfig)
    if config.data.root is not None:
        require_existing(config.data.root, "a data set")
    require_extra("lightning", "train")
    require_extra("transformers", "teacher")
    from elite.teacher_training import train_teacher as run

    result = run(config)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in result.scores.items())
    say(f"foundation model written to {result.folder}; means over the last tenth of the steps: {scores}")
    return 0


def _arguments(parser: Parser) -> None:
    add_data(parser, optional=True)
    add_settings(parser, TeacherTrainingConfig, _SETTINGS, data="data.root")


TRAIN_TEACHER = Command(
    train_teacher,
    _arguments,
    "DATA -o OUT --config NAME [options]",
    "elite train-teacher drive -o runs/teacher --config synthetic-teacher",
)
