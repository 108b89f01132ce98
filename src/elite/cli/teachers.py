"""Commands about the teacher: pre-train a small foundation model."""

from jsonargparse import ArgumentParser

from elite.cli.parsing import require_extra, resolve_config, underscored


def train_teacher(parser: ArgumentParser, argv: list[str]) -> int:
    """Pre-train a small vision foundation model on images alone, for --teacher.weights: --data.root ROOT --out OUT."""
    from elite.config import PretrainConfig

    parser.add_argument("--config", action="config", help="a packaged name or a YAML file of differences")
    parser.add_class_arguments(PretrainConfig)
    args = parser.parse_args(underscored(resolve_config(argv)))
    args.pop("config")
    config = PretrainConfig(**vars(parser.instantiate(args)))

    require_extra("lightning", "train")
    require_extra("transformers", "teacher")
    from elite.training.pretraining import pretrain

    result = pretrain(config)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in result.scores.items())
    print(f"foundation model {result.folder} ({scores})")
    return 0
