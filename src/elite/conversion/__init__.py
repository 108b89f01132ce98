"""Conversion of recordings of ROS to data sets with a ``dataset.yaml``."""

from elite.conversion.report import ConversionReport
from elite.conversion.run import convert
from elite.conversion.settings import ConversionSettings, parse_cameras

__all__ = ["ConversionReport", "ConversionSettings", "convert", "parse_cameras"]
