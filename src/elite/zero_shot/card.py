"""Model card of a zero-shot student, in Markdown."""

from collections.abc import Iterator
from typing import Any

from elite.student import SPVCNN
from elite.zero_shot.plan import ZeroShotPlan

_LIMITS = """\
- The score above is of rendered streets. On real scans it is lower: `elite evaluate` measures it on labelled ones.
- The streets are rendered ones of towns: motorways, tunnels, snow, rain and off-road terrain are not among them.
- Classes that are absent or weak above are unreliable on real scans.
- Before use on another unit, adapt the statistics to a few unlabelled scans (`elite adapt`)."""


def model_card(plan: ZeroShotPlan, student: SPVCNN, score: dict[str, Any]) -> str:
    """Return data, recipe, versions, scores and limits of a student.

    Args:
        plan: of the student.
        student: the exported one.
        score: on unseen streets.
    """
    name = student.sensor.name
    lines = [
        f"# Student for {name}",
        "",
        f"Student for the LiDAR {name} from rendered streets, without real scans and without manual labels.",
        "",
        *_table("", "", _facts(plan, student, score)),
        "",
        "## Score on unseen rendered streets",
        "",
        *_table("score", "%", _scores(score)),
        "",
        *_table("class", "IoU, %", _classes(score)),
        "",
        "## Limits",
        "",
        _LIMITS,
    ]
    return "\n".join(lines) + "\n"


def _table(left: str, right: str, rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield f"| {left} | {right} |"
    yield "|---|---|"
    yield from (f"| {name} | {value} |" for name, value in rows)


def _facts(plan: ZeroShotPlan, student: SPVCNN, score: dict[str, Any]) -> Iterator[tuple[str, str]]:
    drive, sensor, config = plan.config.drive(), student.sensor, student.config
    (x, y, z), (far_x, far_y, far_z) = config.volume
    versions = score["versions"]
    yield "sensor", f"{sensor.name}: {len(sensor.elevations)} beams, mounted at {sensor.height:g} m"
    yield "classes", f"{student.taxonomy.name}: {', '.join(student.taxonomy.names[1:])}"
    counts = drive.frame_counts()
    yield (
        "data",
        f"{sum(counts.values()):,} scans of {len(counts)} rendered streets (world {drive.world}, seed {drive.seed})",
    )
    yield "recipe", f"`{plan.command}`: {plan.recipe.steps:,} steps of {plan.recipe.data.batch_size} scans"
    yield "code", f"elite {versions['elite']}, commit {versions['commit'] or 'unknown'}"
    parameters = sum(p.numel() for p in student.parameters())
    yield (
        "network",
        f"{parameters:,} parameters in float16, {config.channels} channels, cells of {config.cell_size[0]:g} m",
    )
    yield "volume", f"x {x:g} to {far_x:g}, y {y:g} to {far_y:g}, z {z:g} to {far_z:g} m from the sensor"


def _scores(score: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield f"mIoU over the {len(score['present'])} classes present", _percent(score["miou_present"])
    yield f"accuracy ({score['frames']} scans)", _percent(score["accuracy"])
    for band in score["by_distance"]:
        yield f"accuracy at {band['from']:.0f}-{band['to']:.0f} m", _percent(band["accuracy"])


def _classes(score: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for i, (name, iou) in enumerate(zip(score["classes"], score["iou"], strict=True)):
        if i:
            yield name, _percent(iou) if i in score["present"] else "absent"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
