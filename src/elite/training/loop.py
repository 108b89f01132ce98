"""Training loop: batches, steps, validation, checkpoints, and the end of a run at a signal."""

from collections.abc import Iterator

import torch

from elite.batches import Batch
from elite.data.datamodule import DataModule
from elite.errors import EliteError
from elite.metrics import score
from elite.stopping import Stopping
from elite.terminal import say
from elite.training.checkpoint import CheckpointLayout
from elite.training.confusion import summed
from elite.training.metrics_log import Metrics, MetricsLog
from elite.training.plan import Plan
from elite.training.saving import CheckpointFiles
from elite.training.step import OptimizerStep
from elite.training.throughput import Throughput
from elite.training.validation import Validation


class TrainingLoop:
    """Trains from the current position to the end of the plan.

    Attributes:
        batches: batches of the run so far, in each process.
    """

    def __init__(
        self,
        plan: Plan,
        data: DataModule,
        step: OptimizerStep,
        validation: Validation,
        layout: CheckpointLayout,
        files: CheckpointFiles,
        log: MetricsLog,
        stopping: Stopping,
    ) -> None:
        self.plan, self.data, self.step, self.validation = plan, data, step, validation
        self.layout, self.files, self.log, self.stopping = layout, files, log, stopping
        self.fabric = step.fabric
        self.batches = 0
        self.throughput = Throughput(self.fabric.world_size)
        self._is_between_steps = False  # the state is complete, and this process can save it without the others

    def run(self) -> None:
        """Train, validate and save until the plan is complete.

        Raises:
            Terminated: a signal arrived; what can be saved is saved.
            TrainingError: too many steps in a row were skipped.
        """
        try:
            for batch in self.remaining_batches():
                self.train_batch(batch)
        except BaseException:
            self._save_after_failed_wait()
            raise
        finally:
            self.data.close()
            self.log.close()

    def remaining_batches(self) -> Iterator[Batch]:
        """Batches from the current position on, epoch by epoch."""
        loader = self.data.train_dataloader(self.batches)
        for epoch in range(self.epoch, self.plan.epochs):
            loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]
            self.throughput.restart()
            yield from loader

    @property
    def epoch(self) -> int:
        return self.batches // self.plan.batches_per_epoch

    def train_batch(self, batch: Batch) -> None:
        """Train on a batch, and do everything that follows the step it may complete.

        The logged loss terms are those of this batch, the last of its step, in the first process.
        """
        self.throughput.batch_arrived()
        self._begin_work()
        self.step.faults.record_unreadable_frames(batch.faults, self.step.scheduled_steps)
        if self.plan.ends_step(self.batches):
            self.step.begin()
        last, epoch = self.plan.ends_step(self.batches + 1), self.epoch
        terms = self.step.add(batch.to(self.fabric.device), last=last)
        speed = self.throughput.batch_done(batch.size)
        self.batches += 1
        if last:
            rates = self.step.finish()
            losses = {f"train/{name}": term for name, term in terms.items()}
            skipped = {"train/skipped_steps": float(self.step.faults.skipped)}
            self._log(rates | losses | skipped | speed, epoch)
            self.log.progress.advance()
            self._after_step(epoch)

    def _log(self, metrics: Metrics, epoch: int) -> None:
        """Write the metrics of a step as planned; show those of the first one, so that a callback always has some."""
        if self.plan.logs(self.step.scheduled_steps):
            self.log.write(metrics, step=self.step.scheduled_steps, epoch=epoch)
        elif not self.log.progress.has_metrics:
            self.log.show(metrics)

    def _after_step(self, epoch: int) -> None:
        """Validate, log and save as planned; stop if a signal has arrived."""
        steps = self.step.scheduled_steps
        validates, epoch_ends = self.plan.validates(steps), self.plan.ends_epoch(self.batches)
        if validates or epoch_ends:
            metrics = self._training_score() | (self._validate() if validates else {})
            if metrics:
                self.log.write(metrics, step=steps, epoch=epoch)
            if validates:
                self.files.save_if_best(metrics["val/miou"], self._state, writes=self.fabric.is_global_zero)
        if validates or epoch_ends or self.plan.saves(steps):
            self._save()
        if steps < self.plan.total_steps:
            self._stop_after_signal()
        else:
            self.stopping.interruptible = False  # a signal from now on does not stop a complete run

    def _training_score(self) -> dict[str, float]:
        """Score of the training predictions since the last score; empty if there are none."""
        confusion = self.step.confusion.total(self.fabric).numpy()
        self.step.confusion.reset()
        return {"train/miou_present": score(confusion).miou_present} if confusion.any() else {}

    def _validate(self) -> dict[str, float]:
        self.stopping.interruptible = True
        self.throughput.pause()
        metrics = self.validation.run(self.data.val_dataloader(), step=self.step.scheduled_steps)
        self.throughput.resume()
        return metrics

    def _state(self) -> dict:
        return self.layout.state(epoch=self.epoch, batches=self.batches, best=self.files.best_score)

    def _save(self) -> None:
        self.files.save_last(self.step.scheduled_steps, self._state, writes=self.fabric.is_global_zero)

    # ---- signals ----------------------------------------------------------------------------------------------------

    def _begin_work(self) -> None:
        """From now on, a signal waits for the end of the step."""
        self.stopping.busy, self.stopping.interruptible = True, False
        self._is_between_steps = False

    def _stop_after_signal(self) -> None:
        """Save and stop if a process has received a signal. All processes decide together."""
        arrived = torch.tensor(self.stopping.number is not None, dtype=torch.int64)
        if summed(arrived, self.fabric) > 0:
            if self.files.saved_step != self.step.scheduled_steps:
                self._save()
            self.stopping.request()  # the next wait ends the run
        else:
            # A wait may end immediately if no other process takes part in the next step.
            self._is_between_steps = self.stopping.interruptible = self.fabric.world_size == 1

    def _save_after_failed_wait(self) -> None:
        """Save the state after the last step if a signal or a time limit ended the wait for the next batch."""
        if (
            not (self.stopping.wait_failed and self._is_between_steps)
            or self.files.saved_step == self.step.scheduled_steps
        ):
            return
        try:
            self._save()
        except EliteError as error:
            say(f"the state could not be saved: {error}", error=True)
