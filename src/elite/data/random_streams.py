"""Random number streams of the training data."""

from enum import IntEnum


class RandomStream(IntEnum):
    """Second entry of a generator's seed: draws of one stream do not change those of another.

    The numbers determine the samples of a run, so they never change.
    """

    ORDER = 0  # of the samples in an epoch
    POINTS = 1  # dropped points, and transformation of the scan
    LABELS = 2  # labels in use when a fraction of the points is labelled
    IMAGES = 3  # crop and augmentation of the images
    OBJECTS = 4  # pasted objects
    CAMERAS = 5  # cameras of a sample
    PAST = 6  # dropped points of past scans
    RETURNS = 7  # removed beams and lost returns
    REMISSION = 8  # response of the sensor
    MOUNTING = 9  # noise, tilt and height of the sensor
