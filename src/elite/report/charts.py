"""All charts of a report, by name."""

import numpy as np

from elite.pictures import EncodedImage, palette
from elite.report.curve_charts import loss_chart, score_chart, small_term_chart, term_chart
from elite.report.evaluation import Evaluation
from elite.report.matrix_charts import CLASSES_PER_CHART, class_distance_chart, confusion_chart
from elite.report.run import Run
from elite.report.score_charts import calibration_chart, class_chart, distance_chart
from elite.taxonomy import IGNORE, Taxonomy


def draw_charts(run: Run, taxonomy: Taxonomy) -> dict[str, EncodedImage]:
    """Draw the charts that the run has numbers for, with the colours of ``taxonomy``.

    Names: loss, miou, terms, small_terms, classes, distance, class_distance, calibration, confusion.
    """
    curves = {
        "loss": loss_chart(run.curves),
        "miou": score_chart(run.curves),
        "terms": term_chart(run.curves),
        "small_terms": small_term_chart(run.curves),
    }
    charts = {name: chart for name, chart in curves.items() if chart is not None}
    return charts | (_evaluation_charts(run.after, run.before, taxonomy) if run.after else {})


def _evaluation_charts(after: Evaluation, before: Evaluation | None, taxonomy: Taxonomy) -> dict[str, EncodedImage]:
    charts: dict[str, EncodedImage] = {}
    if after.iou:
        charts["classes"] = class_chart(after, before, palette(taxonomy))
    if after.by_distance:
        charts["distance"] = distance_chart(after.by_distance, before.by_distance if before else ())
    present = sorted(after.present_in() - {IGNORE})
    if present and after.has_band_classes:
        charts["class_distance"] = class_distance_chart(after, present)
    if after.calibration and after.is_calibrated:
        charts["calibration"] = calibration_chart(after.calibration)
    if after.rates is not None:
        ids = np.array(after.most_frequent(CLASSES_PER_CHART))
        charts["confusion"] = confusion_chart(after.rates[np.ix_(ids - 1, ids - 1)], after.short_names(ids))
    return charts
