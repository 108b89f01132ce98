"""Layout of a training checkpoint: plain values and tensors, readable without unpickling any object.

::

    state_dict          student., average.module., distillation. (without a frozen foundation model)
    optimizer_states    [state of the optimiser]
    MixedPrecision      state of the gradient scaler, in a run with one
    epoch, global_step  position; global_step counts skipped steps
    elite_config        settings            elite_versions  versions that wrote the file
    elite_taxonomy, elite_sensor, elite_remission  classes of the student; sensor and remission of its scans
    elite_data          summary of the data (``elite.training.resume``)
    elite_best          best validation mIoU so far, or None
    elite_teacher       allocator of AdaLoRA and a digest of the foundation model, in a run with a teacher
    elite_progress      steps: steps that changed the weights; batches: batches of the run; world: processes;
                        confusion: training confusion matrix since the last score; random: generators; faults

Up to version 0.1, Lightning's Trainer wrote these files, with the number of batches under ``DataModule``.
"""

from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric import Fabric

from elite.config import plain
from elite.environment import describe
from elite.errors import CheckpointError, is_machine_fault
from elite.student.student_file import domain_entries
from elite.training.module import TrainingModule
from elite.training.random_state import random_states
from elite.training.step import OptimizerStep

if TYPE_CHECKING:  # its libraries are required only with a teacher
    from elite.teacher import Teacher

TEACHER = "distillation.teacher."  # prefix of the teacher in ``state_dict``


class CheckpointLayout:
    """Translates between the objects of a run and the entries of its checkpoints.

    ``data`` is the summary of the data that checkpoints contain.
    """

    def __init__(self, step: OptimizerStep, data: dict[str, Any]) -> None:
        self.step, self.data = step, data
        self._versions = describe()
        teacher = step.training.teacher
        adapter = None if teacher is None else teacher.adapter
        self._base = "" if adapter is None else adapter.base_hash()

    def state(self, *, epoch: int, batches: int, best: float | None) -> dict[str, Any]:
        """State of the run after ``batches``. All processes call it together."""
        step, fabric, training = self.step, self.step.fabric, self.step.training
        scaler = fabric.strategy.precision.state_dict()
        checkpoint: dict[str, Any] = {
            "state_dict": _without_frozen(training),
            "optimizer_states": [step.optimizer.state_dict()],
            **({"MixedPrecision": scaler} if scaler else {}),
            "epoch": epoch,
            "global_step": step.scheduled_steps,
            "elite_config": plain(training.config),
            "elite_versions": self._versions,
            **domain_entries(training.student, "elite_"),
            "elite_data": self.data,
            "elite_best": best,
            "elite_progress": {
                "steps": step.updates,
                "batches": batches,
                "world": fabric.world_size,
                "confusion": step.confusion.total(fabric),
                "random": random_states(fabric.device),
                "faults": step.faults.state(),
            },
        }
        if training.teacher is not None:
            checkpoint["elite_teacher"] = self._teacher_state(training.teacher)
        return checkpoint

    def restore(self, checkpoint: dict[str, Any]) -> int:
        """Restore the run, except for its generators.

        Returns:
            Batches of the run before the checkpoint.

        Raises:
            CheckpointError: the run had another number of processes or another foundation model, or the state does not
                fit.
        """
        step, fabric, training = self.step, self.step.fabric, self.step.training
        progress = checkpoint["elite_progress"]
        _check_processes(progress["world"], fabric)
        if training.teacher is not None:
            self._restore_teacher(training.teacher, checkpoint)
        try:
            training.load_state_dict(_frozen(training) | checkpoint["state_dict"])
            step.optimizer.load_state_dict(checkpoint["optimizer_states"][0])
            if "MixedPrecision" in checkpoint:
                fabric.strategy.precision.load_state_dict(checkpoint["MixedPrecision"])
            step.scheduled_steps, step.updates = checkpoint["global_step"], progress["steps"]
            step.faults.load_state(progress["faults"])
            if fabric.is_global_zero:  # the others begin with an empty matrix
                step.confusion.matrix = progress["confusion"].clone()
            return progress["batches"] if "batches" in progress else checkpoint["DataModule"]["batches"]
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            if is_machine_fault(error):
                raise
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(
                f"the checkpoint does not fit the run ({reason}). Use --init to start a new run from its student."
            ) from error

    def _teacher_state(self, teacher: "Teacher") -> dict[str, Any]:
        adapter = teacher.adapter
        return {
            "total_steps": self.step.training.total_steps,
            "base": self._base,
            "allocator": {} if adapter is None else adapter.allocator_state(),
        }

    def _restore_teacher(self, teacher: "Teacher", checkpoint: dict[str, Any]) -> None:
        if teacher.adapter is None:
            return
        if self._base != checkpoint["elite_teacher"]["base"]:
            raise CheckpointError(
                f"{self.step.training.config.teacher.weights}: expected the foundation model of the run, found another "
                "one. Restore the previous file."
            )
        teacher.adapter.load_allocator_state(checkpoint["elite_teacher"]["allocator"])


def _check_processes(before: int, fabric: Fabric) -> None:
    if before != fabric.world_size:
        raise CheckpointError(
            f"--devices: expected {before} processes, as in the run that is resumed, found {fabric.world_size}. Scans "
            f"would be distributed differently. Give --devices {before}."
        )


def _frozen(training: TrainingModule) -> dict[str, torch.Tensor]:
    """Entries of the frozen foundation model, which checkpoints do not contain."""
    if training.teacher is None:
        return {}
    names = {f"{TEACHER}{name}" for name in training.teacher.frozen_names()}
    return {name: value for name, value in training.state_dict().items() if name in names}


def _without_frozen(training: TrainingModule) -> dict[str, torch.Tensor]:
    frozen = _frozen(training)
    return {name: value for name, value in training.state_dict().items() if name not in frozen}
