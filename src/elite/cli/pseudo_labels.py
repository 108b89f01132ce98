"""Commands about pseudo-labels: generate and score them."""

from argparse import Namespace
from dataclasses import replace
from functools import partial
from typing import Any

from elite.cli.arguments import add_data, add_json
from elite.cli.outputs import FAULTY, percent, save_json
from elite.cli.parser import Command, Parser, resumes
from elite.cli.settings import add_settings, configuration
from elite.config import PseudoLabelConfig
from elite.errors import ConfigError, EliteError, require_extra
from elite.terminal import progress, say

# Settings of the output, of the processes, and those that the score sets.
_UNSCORED = ("out", "folder", "lift", "pictures", "overwrite", "devices", "label_fraction", "label_unit", "strategy")
_REGIONS = {"Regions": ("proposer", "weights", "device", "precision")}
_GENERATE_SETTINGS = {
    "Data": ("sequences", "frames", "labels", "label_fraction", "label_unit", "cameras", "strict"),
    **_REGIONS,
    "Output": ("out", "folder", "lift", "pictures", "overwrite", "devices"),
}
_SCORE_SETTINGS = {"Data": ("sequences", "frames", "labels", "cameras", "strict"), **_REGIONS}


def pseudo_label(args: Namespace) -> int:
    """Generate dense labels of camera images from the labels of LiDAR points."""
    config = configuration(args, PseudoLabelConfig)
    require_extra("scipy", "plg", needed_for="'elite pseudo-label'")

    from elite.processes import Processes
    from elite.pseudo_labels import Summary, generate, open_proposer, training_options

    uses_network = config.proposer == "sam" or config.weights is not None
    processes = Processes(config.devices, config.device if uses_network else "cpu")
    first = processes.rank == 0
    name = f"pseudo-labels (1 of {processes.world} processes)" if processes.world > 1 else "pseudo-labels"

    if first and (options := training_options(args.data, config)):
        say(f"training uses these labels with {options}")

    def share() -> Summary | EliteError:
        try:
            return generate(
                args.data,
                config,
                open_proposer(replace(config, device=processes.device)),
                rank=processes.rank,
                world=processes.world,
                progress=lambda items: progress(items, unit="frame", name=name) if first else items,
            )
        except EliteError as error:  # all processes meet below: one failure is reported once, and none waits
            return EliteError(str(error))

    shares = processes.gather(share())
    if not first:
        return 0
    for done in shares:
        if isinstance(done, EliteError):
            raise done
    total = sum(shares, Summary())
    say(total.line())
    for failure in total.failures:
        say(f"  {failure}", error=True)
    save_json(args, total.to_dict())
    return FAULTY if total.failures else 0


def _generate_arguments(parser: Parser) -> None:
    add_data(parser)
    add_json(parser)
    add_settings(parser, PseudoLabelConfig, _GENERATE_SETTINGS)


PSEUDO_LABEL = Command(
    pseudo_label,
    _generate_arguments,
    "DATA [options]",
    "elite pseudo-label kitti --sequences train --weights sam_vit_b_01ec64.pth",
    after_stop=resumes,
)


def score_pseudo_labels(args: Namespace) -> int:
    """Score pseudo-labels against held-out points, and against dense ground truth where it exists."""
    config = configuration(args, PseudoLabelConfig)

    from elite.pseudo_labels import open_proposer
    from elite.pseudo_labels.holdout import parse_holdout
    from elite.pseudo_labels.measure import measure

    rules = [parse_holdout(text) for text in args.holdout.split(",") if args.holdout != "none"]
    scoring = partial(progress, unit="frame", name="score")
    result = measure(args.data, config, open_proposer(config), rules, progress=scoring)
    if not result["tests"]:
        raise ConfigError(
            f"--holdout {args.holdout}: expected held-out points or a data set with image_2_labels, found neither. "
            "Give --holdout rings:2."
        )
    for test, methods in result["tests"].items():
        _print_test(test, methods)
    save_json(args, result)
    return 0


def _score_arguments(parser: Parser) -> None:
    add_data(parser)
    text = "Held-out points: rings:K keeps every K-th laser ring, points:S hides that share, none; several by commas."
    parser.add("--holdout", default="rings:2", metavar="RULES", help=text)
    add_json(parser)
    add_settings(parser, PseudoLabelConfig, _SCORE_SETTINGS, skip=_UNSCORED)


def _print_test(test: str, methods: dict[str, dict[str, Any]]) -> None:
    columns = ["coverage", "accuracy", "miou", "accuracy_all", "miou_all"]
    columns += ["boundary_f", "pq", "leak"] if test == "dense" else []
    say(f"\n{test:20s} " + " ".join(f"{name:>12s}" for name in (*columns, "prompts", "seconds")))
    for method, scores in methods.items():
        cells = [f"{'-' if scores[c] is None else percent(scores[c]):>12s}" for c in columns]
        cost = f"{scores['prompts_per_image']:12.1f} {scores['seconds_per_image']:12.2f}"
        say(f"{method:20s} " + " ".join(cells) + f" {cost}")


SCORE_PSEUDO_LABELS = Command(
    score_pseudo_labels,
    _score_arguments,
    "DATA [options]",
    "elite score-pseudo-labels kitti --sequences valid --holdout rings:2",
)
