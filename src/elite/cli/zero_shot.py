"""The command ``elite zero-shot``."""

from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from elite.cli.arguments import add_output, output_path
from elite.cli.outputs import percent
from elite.cli.parser import SAME_COMMAND, Command, Parser, check_model, count, resumes
from elite.cli.settings import add_settings, compose, configuration, list_settings
from elite.config import TrainConfig, plain
from elite.errors import StoppedError, require_extra
from elite.formatting import clock
from elite.packaged_students import student_path
from elite.terminal import say

if TYPE_CHECKING:
    from elite.zero_shot.config import ZeroShotConfig

_RECIPE = "zero-shot"  # packaged configuration


def zero_shot(args: Namespace) -> int:
    """Train a student for your LiDAR without labels, on rendered streets.

    It renders streets, trains, scores the student on other rendered streets, and writes OUT/student.safetensors with
    its model card OUT/student.md. The expected time is measured and reported first. The same command resumes.
    """
    for package, extra in (("lightning", "train"), ("trimesh", "synth"), ("embreex", "synth")):
        require_extra(package, extra)
    from elite.zero_shot.config import ZeroShotConfig

    config = configuration(args, ZeroShotConfig)
    if config.init is not None:
        check_model(student_path(config.init))

    from elite.zero_shot import ZeroShotPlan, expected_seconds, make_student

    plan = ZeroShotPlan(output_path(args.out, args.positional_out), config, _recipe(config), args.command_line)
    is_new = plan.claim()
    try:
        if is_new:
            say("measuring a rendered scan and a training step ...")
            rendering, training = expected_seconds(plan, workers=args.workers)
            parts = f"{clock(rendering)} to render, {clock(training)} to train {plan.recipe.steps:,} steps"
            say(f"expected time: {clock(rendering + training)} (h:mm:ss or m:ss): {parts}")
        score = make_student(plan, workers=args.workers)
    except StoppedError as error:  # whose advice is that of elite train
        raise StoppedError(f"{plan.out}: stopped in the training, whose steps are saved. {SAME_COMMAND}") from error
    over = f"over {len(score['present'])} classes of {score['frames']} scans of unseen rendered streets"
    say(f"mIoU {percent(score['miou_present'])}, accuracy {percent(score['accuracy'])} {over}")
    say(f"student {plan.student}, model card {plan.card}")
    return 0


def _recipe(config: "ZeroShotConfig") -> TrainConfig:
    """Settings of the training; a trained student continues at half the rate."""
    given = {name: value for name, value in plain(config).items() if name in ("seed", "init", "steps")} | {"devices": 1}
    recipe = compose(TrainConfig, [_RECIPE], [(name, value) for name, value in given.items() if value is not None])
    return recipe if config.init is None else replace(recipe, optim=replace(recipe.optim, lr=recipe.optim.lr / 2))


def _arguments(parser: Parser) -> None:
    from elite.zero_shot.config import ZeroShotConfig

    add_output(parser, "Folder to write to.", "OUT")
    parser.add("--workers", type=count, metavar="N", help="Number of rendering processes (default: one per CPU core).")
    names = tuple(setting.name for setting in list_settings(ZeroShotConfig()))
    add_settings(parser, ZeroShotConfig, {"Student": names}, from_files=False)


ZERO_SHOT = Command(
    zero_shot,
    _arguments,
    "-o OUT [options]",
    "elite zero-shot --sensor my-sensor.yaml -o my-sensor",
    after_stop=resumes,
)
