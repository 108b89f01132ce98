"""Zip files for the servers of benchmarks, written and checked by their rules."""

from elite.submission.benchmark import Benchmark
from elite.submission.writing import BENCHMARKS, SubmissionReport, benchmark_of, check_submission, write_submission

__all__ = ["BENCHMARKS", "Benchmark", "SubmissionReport", "benchmark_of", "check_submission", "write_submission"]
