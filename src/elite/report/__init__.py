"""Report of a run as one self-contained page, and the images of scans in it. Needs the extra ``report``."""

from elite.errors import require_extra

for _package in ("matplotlib", "jinja2"):
    require_extra(_package, "report", needed_for="'elite report'")

from elite.figures import bev  # noqa: E402
from elite.pictures import class_colors, error_colors, overlay  # noqa: E402
from elite.report.write import report_evaluation, report_run, write_report  # noqa: E402

__all__ = ["bev", "class_colors", "error_colors", "overlay", "report_evaluation", "report_run", "write_report"]
