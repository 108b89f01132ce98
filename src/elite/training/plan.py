"""Lengths of a run: when a step, an epoch and the run end, and after which steps to validate, save and log."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Schedule of a run.

    An epoch of a run counted in epochs is one pass over the training scans, so it equals ``SampleKey.epoch``. A run
    counted in steps is one epoch here, however many passes its batches need; ``SampleKey.epoch`` still counts passes.

    Attributes:
        epochs: number of epochs.
        batches_per_epoch: batches of one process in such an epoch.
        total_steps: optimiser steps of the run.
        accumulate: batches per optimiser step; the last step of an epoch may have fewer.
        validate_every: optimiser steps between validations; None = no validation.
        save_every: optimiser steps between checkpoints, in addition to those at validations and ends of epochs.
        log_every: optimiser steps between rows of metrics.csv.
    """

    epochs: int
    batches_per_epoch: int
    total_steps: int
    accumulate: int
    validate_every: int | None
    save_every: int
    log_every: int

    def ends_step(self, batches: int) -> bool:
        """Whether the step is complete after ``batches`` of the run."""
        in_epoch = batches % self.batches_per_epoch
        return in_epoch == 0 or in_epoch % self.accumulate == 0

    def ends_epoch(self, batches: int) -> bool:
        return batches % self.batches_per_epoch == 0

    def validates(self, step: int) -> bool:
        return self.validate_every is not None and step % self.validate_every == 0

    def saves(self, step: int) -> bool:
        return step % self.save_every == 0

    def logs(self, step: int) -> bool:
        return step % self.log_every == 0
