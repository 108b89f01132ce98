"""Inspection of raw data: recordings, and files of points without a description.

``sources`` decides on the kind of a path and imports nothing heavy, so that wrong paths are refused at once.
"""
