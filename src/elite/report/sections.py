"""Sections of the page on what was measured: calibration, pseudo-labels, time. Each is HTML, or empty."""

from collections.abc import Mapping

from elite.report.html import chart, count, numbers, percent, table
from elite.report.measured import Latency, PseudoScore
from elite.report.run import Run


def calibration(run: Run, charts: Mapping[str, bytes]) -> str:
    """How sure the network is, and whether that is to be believed."""
    found = run.after.calibration if run.after else None
    if found is None:
        return (
            "<p>No confidences were scored. 'elite evaluate CKPT ROOT --json' scores them; for saved predictions, "
            "'elite predict --confidence' writes them.</p>"
        )
    total = max(1, sum(points for points, _, _ in found.bins))
    sure = sum(points * confidence for points, _, confidence in found.bins) / total
    right = sum(points * accuracy for points, accuracy, _ in found.bins) / total
    side = "more sure than it is right" if sure > right else "less sure than it is right"
    picture = chart(
        charts,
        "calibration",
        "Confidence and accuracy",
        "Each bar: of the points with this confidence, how many are right. On the dashed line the network is exactly "
        "as sure as it is right; a bar below it is overconfident. Grey: how many points have this confidence.",
    )
    note = (
        '<div class="note"><h3>Expected calibration error</h3>'
        f'<p class="big">{percent(found.ece)}</p>'
        f"<p>The mean gap between confidence and accuracy. On average the network is {percent(sure)} sure and "
        f"{percent(right)} right: it is {side}.</p></div>"
    )
    return f'<div class="pair">{picture}<div class="stack">{note}</div></div>'


def pseudo_labels(scores: tuple[PseudoScore, ...]) -> str:
    """A table for each test."""
    tests = dict.fromkeys(score.test for score in scores)
    intro = (
        "<p>How good the dense labels of the images are, measured where the truth is known and was hidden from what "
        "made them. Coverage: share of the pixels with a truth that got a label. Accuracy and mean IoU: of those.</p>"
    )
    return intro + "".join(_test(test, [score for score in scores if score.test == test]) for test in tests)


def _test(test: str, scores: list[PseudoScore]) -> str:
    kind, _, number = test.partition(":")
    titles = {
        "dense": "Against dense truth, every pixel",
        "rings": f"One laser ring in {number} kept; the points of the others judge",
        "points": f"Points hidden at random, a share of {number}; they judge",
    }
    heads = ("", "coverage", "accuracy", "mean IoU", "seconds an image")
    rows = {
        score.method: (
            _share(score.coverage),
            _share(score.accuracy),
            _share(score.miou),
            f"{score.seconds:.2f}" if score.seconds else "",
        )
        for score in scores
    }
    return numbers(titles.get(kind, test), heads, rows)


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def timing(run: Run) -> str:
    """How long training and a scan take, as far as that was measured."""
    rows: dict[str, str] = {}
    speed = run.curves.get("scans/s")
    if speed is not None and len(speed):
        ordered = sorted(speed.y.tolist())
        rows["training"] = f"{ordered[len(ordered) // 2]:.2f} scans a second (median), loading included"
        rows["steps"] = count(int(speed.x[-1]) + 1) if run.axis == "step" else ""
    return table("Training", rows) + (latency(run.latency) if run.latency else "")


def latency(found: Latency) -> str:
    """From raw points to labels."""
    stages = ", ".join(f"{name} {ms:.1f} ms" for name, ms in found.stages.items())
    return table(
        "A scan, from raw points to labels",
        {
            "half of them within": f"{found.p50:.1f} ms",
            "95 % within": f"{found.p95:.1f} ms",
            "99 % within": f"{found.p99:.1f} ms",
            "mean by stage": stages,
            "measured on": f"{count(found.scans)} scans of {count(round(found.points))} points; {found.conditions}",
        },
    )
