"""Stages of a zero-shot student. A stage whose result exists is skipped, so that the same call resumes."""

import os
from dataclasses import replace
from typing import Any

from elite.datasets import open_dataset
from elite.environment import describe
from elite.evaluation import by_segmenter, evaluate
from elite.files import TEXT_BYTES, parse_json, read_file, write_bytes, write_json
from elite.inference import Segmenter
from elite.sensor import load_sensor
from elite.student import load_student, save_student
from elite.synthetic import render_drive
from elite.terminal import notice, progress, say
from elite.training import train
from elite.zero_shot.card import model_card
from elite.zero_shot.plan import ZeroShotPlan
from elite.zero_shot.timing import Speed, measure_speed


def expected_seconds(plan: ZeroShotPlan, *, workers: int | None = None) -> tuple[float, float]:
    """Measure the time of a scan and of a training step; return the expected seconds of (rendering, training)."""
    drive, unseen = plan.config.drive(), plan.config.unseen()
    speed: Speed = measure_speed(drive, plan.recipe)
    steps = plan.recipe.steps
    assert steps is not None
    return speed.rendering(drive, unseen, workers=workers or os.cpu_count() or 1), steps * speed.step


def make_student(plan: ZeroShotPlan, *, workers: int | None = None) -> dict[str, Any]:
    """Render, train, export, score, and write the model card. What exists in ``plan.out`` is kept.

    Args:
        plan: settings and outputs, which ``plan.claim`` has checked.
        workers: rendering processes, by default one per CPU.

    Returns:
        The score on unseen streets, as of ``elite.evaluation.evaluate``.

    Raises:
        EliteError: as ``render_drive``, ``elite.training.train`` and ``evaluate``.
    """
    if not plan.student.exists():
        render_drive(plan.streets, plan.config.drive(), workers=workers)
        _export(plan, train(plan.training()).best)
    render_drive(plan.unseen, plan.config.unseen(), workers=workers)
    if not plan.score.exists():
        write_json(plan.score, _score(plan))
    score = parse_json(read_file(plan.score, TEXT_BYTES))
    write_bytes(plan.card, model_card(plan, load_student(plan.student), score).encode())
    return score


def _export(plan: ZeroShotPlan, checkpoint: Any) -> None:
    """Write the student in float16. Its sensor is that of the user's files: rendered files have plain columns."""
    student = load_student(checkpoint)
    student.sensor = replace(load_sensor(plan.config.sensor), height=student.sensor.height, rendering=None)
    save_student(student, plan.student, half=True)
    say(f"student written to {plan.student}")


def _score(plan: ZeroShotPlan) -> dict[str, Any]:
    segmenter = Segmenter.load(plan.student, report=notice)
    dataset = open_dataset(plan.unseen, cameras=())
    score = evaluate(dataset, by_segmenter(segmenter, dataset.taxonomy), lambda items: progress(items, name="score"))
    return score | {"command": plan.command, "versions": describe()}
