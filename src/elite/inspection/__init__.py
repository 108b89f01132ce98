"""Inspection of raw data: recordings, and files of points without a description.

``sources`` decides on the kind of a path. It imports nothing heavy for files, so that wrong ones are refused at once;
folders are compared with the formats of data sets, which import torch.
"""
