"""One optimiser step: forward and backward over its batches, then an update unless a value is not finite."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any, cast

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from elite.batches import Batch
from elite.training.batch_norm import BatchNormSnapshot
from elite.training.confusion import Confusion, summed
from elite.training.faults import FaultLog
from elite.training.module import StepOutput, TrainingModule
from elite.training.optim import build_optimizer, cosine


class OptimizerStep:
    """The optimiser of a run, and its current step.

    A step whose loss or gradient is not finite is skipped: weights, momentum, batch norm statistics, ranks and average
    keep the values that they had before its first batch.

    Attributes:
        scheduled_steps: steps before the current one, skipped steps included.
        updates: steps that changed the weights.
        confusion: training predictions since the last reset.
    """

    def __init__(self, fabric: Fabric, training: TrainingModule, faults: FaultLog, *, steps_per_epoch: int) -> None:
        self.fabric, self.training, self.faults = fabric, training, faults
        self.steps_per_epoch = steps_per_epoch
        self.model = fabric.strategy.setup_module(fabric.to_device(training))
        self.optimizer = build_optimizer(training, training.teacher, training.config.optim)
        self.optimizer.register_step_post_hook(self._after_update)
        self.confusion = Confusion(training.student.config.classes)
        self.scheduled_steps = self.updates = 0
        self._peak_rates = [group["lr"] for group in self.optimizer.param_groups]
        self._norms = BatchNormSnapshot(training.student)
        self._loss, self._frames = torch.zeros(()), list[str]()

    def begin(self) -> None:
        """Begin a step, before its first batch."""
        self.training.scheduled_steps = self.scheduled_steps
        self._norms.take()
        self._loss, self._frames = torch.zeros((), device=self.fabric.device), []

    def add(self, batch: Batch, *, last: bool) -> dict[str, Tensor]:
        """Add the gradient of a batch; the ``last`` one of a step synchronises the processes.

        Returns:
            The total loss and its terms, detached.
        """
        with nullcontext() if last else self._without_synchronisation():
            with self.fabric.autocast():
                output: StepOutput = self.model(batch)
                loss = torch.stack(list(output.terms.values())).sum()
            self.fabric.backward(loss / self.training.config.accumulate)
        self._frames += batch.ids
        self._loss = self._loss + loss.detach()
        self.confusion.update(output.prediction, batch.labels)
        return {"loss": loss.detach(), **{name: term.detach() for name, term in output.terms.items()}}

    def finish(self) -> dict[str, float]:
        """Update the weights, or skip the step.

        Returns:
            Learning rates of the step, by name.

        Raises:
            TrainingError: too many steps in a row were skipped.
        """
        rates = self._set_rates()
        if not self._is_finite():
            self._skip(self.faults.record_skipped_step)
        elif not self._update():
            self._skip(self.faults.record_overflow)
        else:
            self.faults.record_update()
        self.optimizer.zero_grad()
        self.scheduled_steps += 1
        return rates

    def _update(self) -> bool:
        """Update the weights, unless a gradient scaler skips the update, because a scaled gradient overflowed.

        Returns:
            Whether the weights were updated.
        """
        precision, optim, before = self.fabric.strategy.precision, self.training.config.optim, self.updates
        precision.unscale_gradients(self.optimizer)
        clip_gradients(self.optimizer, optim.clip, together=optim.clip_together)
        precision.optimizer_step(cast(Any, self.optimizer))
        return self.updates > before

    def _skip(self, record: Callable[[list[str], int], None]) -> None:
        """Restore the batch norms, and ``record`` the frames of the step."""
        self._norms.restore()
        record(self._frames, self.scheduled_steps)

    def _after_update(self, *_: Any) -> None:
        """Called by the optimiser after each update."""
        self.updates += 1
        self.training.after_optimizer_step(self.updates)

    def _is_finite(self) -> bool:
        """Whether the loss and all gradients are finite, in all processes.

        A gradient scaler handles overflowing gradients itself until its scale is 1.
        """
        loss = summed(self._loss, self.fabric)
        scaler = getattr(self.fabric.strategy.precision, "scaler", None)
        is_scaled = scaler is not None and scaler.get_scale() > 1
        return all_finite(loss, [] if is_scaled else _parameters(self.optimizer))

    def _set_rates(self) -> dict[str, float]:
        optim, groups = self.training.config.optim, self.optimizer.param_groups
        stair = self.steps_per_epoch if optim.anneal == "epoch" else 1
        factor = cosine(self.scheduled_steps, self.training.total_steps, optim, stair=stair)
        for group, peak in zip(groups, self._peak_rates, strict=True):
            group["lr"] = peak * factor
        names = ["lr-SGD"] if len(groups) == 1 else [f"lr-SGD/pg{i + 1}" for i in range(len(groups))]
        return {name: group["lr"] for name, group in zip(names, groups, strict=True)}

    def _without_synchronisation(self) -> Any:
        return self.model.no_sync() if isinstance(self.model, DistributedDataParallel) else nullcontext()


def clip_gradients(optimizer: torch.optim.Optimizer, largest: float, *, together: bool) -> None:
    """Limit the gradient norm over all parameters ``together``, or within each parameter group."""
    groups = [_parameters(optimizer)] if together else [group["params"] for group in optimizer.param_groups]
    for parameters in groups:
        nn.utils.clip_grad_norm_(parameters, largest)


def all_finite(loss: Tensor, parameters: Iterable[nn.Parameter]) -> bool:
    """Whether the loss and every gradient are finite. Synchronises with the device once."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    total = loss + nn.utils.get_total_norm(gradients).to(loss.device) if gradients else loss
    return bool(torch.isfinite(total))


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]
