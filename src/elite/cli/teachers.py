"""Commands about the teacher: pre-train a small foundation model."""

from jsonargparse import ArgumentParser

from elite.cli.parsing import parse_config
from elite.errors import require_extra
from elite.terminal import say


def train_teacher(parser: ArgumentParser, argv: list[str]) -> int:
    """Pre-train a small vision foundation model on images alone, for --teacher.weights: --data.root ROOT --out OUT."""
    from elite.config import PretrainConfig

    _, config = parse_config(parser, argv, PretrainConfig)
    require_extra("lightning", "train")
    require_extra("transformers", "teacher")
    from elite.training.pretraining import pretrain

    result = pretrain(config)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in result.scores.items())
    say(f"foundation model {result.folder} ({scores})")
    return 0
