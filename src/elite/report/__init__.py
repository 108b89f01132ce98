"""A run as one page to look at, and the pictures of scans that it is made of."""

from elite.pictures import bev, class_colors, error_colors, overlay
from elite.report.write import report_evaluation, report_run, write_report

__all__ = ["bev", "class_colors", "error_colors", "overlay", "report_evaluation", "report_run", "write_report"]
