"""Check of a data set: the faults of all its files, a survey of its sensors, and a verdict in words."""

from elite.datasets.check.advice import Advice, advise
from elite.datasets.check.files import SequenceReport, check
from elite.datasets.check.sequences import sequence_advice
from elite.datasets.check.survey import Survey, survey
from elite.datasets.check.tables import survey_tables
from elite.datasets.check.trained import TrainedInput, trained_advice
from elite.datasets.check.verdict import Verdict, judge, unlabelled_splits

__all__ = [
    "Advice",
    "SequenceReport",
    "Survey",
    "TrainedInput",
    "Verdict",
    "advise",
    "check",
    "judge",
    "sequence_advice",
    "survey",
    "survey_tables",
    "trained_advice",
    "unlabelled_splits",
]
