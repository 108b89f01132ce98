"""Lightning's trainer as every run here uses it: what cannot work is refused, what goes wrong leaves as it began."""

import errno
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException

from elite.errors import ConfigError, EliteError, OutputError, TrainingError, first_line
from elite.processes import cluster_environment, leave_group_at_exit
from elite.signals import Terminated
from elite.training.callbacks import ProgressBar

_RESUME = "Look for its own message, or for a lack of memory or of shared memory (/dev/shm), then use --resume last."


def build_trainer(
    *, callbacks: list[L.Callback], progress: bool, precision: Any, change: str, plugins: list[Any], **settings: Any
) -> L.Trainer:
    """A trainer with ``settings``, Lightning's own words; no trial validation and no table of layers.

    Raises:
        ConfigError: this machine has no such devices (``change`` names the options to change then), or computes in
            another precision than was asked for.
    """
    environment: Any = cluster_environment()
    try:
        trainer = L.Trainer(
            callbacks=[*callbacks, ProgressBar()] if progress else callbacks,
            precision=precision,
            plugins=[*plugins, environment] if environment else plugins,
            num_sanity_val_steps=0,
            enable_progress_bar=progress,
            enable_model_summary=False,
            **settings,
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise ConfigError(f"this machine cannot train so ({first_line(error)}); change {change}.") from error
    if trainer.precision != precision:
        raise ConfigError(
            f"precision {precision} is not available on this device, which computes in {trainer.precision} instead. "
            f"Set --precision {trainer.precision}."
        )
    return trainer


def fit(
    trainer: L.Trainer, module: L.LightningModule, data: L.LightningDataModule, resumed: Path | None = None
) -> None:
    """Fit, from the checkpoint ``resumed`` if there is one; an error leaves as it was raised.

    Lightning turns an interrupt into an exit of its own, and a loader process wraps its errors.

    Raises:
        TrainingError: a loader process, or another process of the run, is gone.
        ConfigError: deterministic operations were required, and one has no such form.
        OutputError: the disk is full, or fails.
        Terminated: the data module's ``stopping`` has received a signal.
    """
    leave_group_at_exit()
    try:
        trainer.fit(module, data, ckpt_path=resumed, weights_only=True)
    except SystemExit as error:
        raise KeyboardInterrupt from error
    except EliteError as error:
        raise _without_traceback(error) from error.__cause__
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG):
            raise
        raise OutputError(
            f"cannot write to the run folder ({error.strerror}). Check the disk and its limits, then resume with "
            "--resume last."
        ) from error
    except Exception as error:
        for cause in _causes(error):
            if isinstance(cause, EliteError):
                raise _without_traceback(cause) from cause.__cause__
            if isinstance(cause, Terminated):
                raise cause from None
            if isinstance(cause, RuntimeError) and (lost := _lost_process(str(cause), trainer.world_size)):
                raise TrainingError(f"{lost} ({first_line(cause)}). {_RESUME}") from error
            if operation := _without_deterministic_form(str(cause)):
                raise ConfigError(
                    f"deterministic training: expected operations that repeat, found {operation}, which does not on "
                    "this device. Set --deterministic false."
                ) from error
        raise
    finally:
        # Lightning ends the loader processes of the loop that failed alone, and those that are left outlive the one
        # SIGTERM that Python sends them at its end, for which it would wait for ever.
        with suppress(RuntimeError):  # of loaders that never began
            trainer.fit_loop.teardown()


def _without_traceback(error: EliteError) -> EliteError:
    """The error as it was raised: from a loader process it arrives with that process's whole traceback in its text."""
    _, marker, text = str(error).rpartition(f"{type(error).__module__}.{type(error).__name__}: ")
    return type(error)(text.strip()) if marker and str(error).startswith("Caught ") else error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those it was raised for.

    That a loader process is gone is raised by a signal handler, so at any line; whoever is at work there may wrap it.
    Lightning's own end fails where loaders have not begun, which would hide why.
    """
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _lost_process(message: str, world: int) -> str | None:
    """What is gone, if that is what the message is about."""
    if "DataLoader worker" in message:
        return "a loader process was killed"
    if re.search("ancdata|too many open files", message, re.IGNORECASE):
        return "the loader processes cannot hand over a batch, as this process has too many open files (ulimit -n)"
    if world > 1 and re.search("gloo|nccl|process group|peer|timed? ?out", message, re.IGNORECASE):
        return "another process of this run is gone or does not answer"
    return None


def _without_deterministic_form(message: str) -> str | None:
    """The operation that torch refuses in deterministic mode, if that is what the message is about."""
    found = re.match(r"(\w+) does not have a deterministic implementation", message)
    return found and found[1]


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's advice on matters that are decided here on purpose is not shown; every other warning is."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",
            ".*exists and is not empty.*",
            ".*number of training batches.*",
            ".*Experiment logs directory.*",
            ".*treespec, LeafSpec.*",
            ".*module\\(s\\) in eval mode.*",  # the foundation model
            ".*sync_dist=True.*",  # the scores are those of all processes already
            ".*your dataloader is not resumable.*",  # the data module begins where the run stopped
            ".*lr_scheduler.step.*before.*optimizer.step.*",  # a step was left out
            ".*callbacks used to create the checkpoint need to be provided.*",  # those of older versions
            ".*AMP with fp16 is not supported on CPU.*",  # build_trainer makes an error of it
        ):
            warnings.filterwarnings("ignore", message=message)
        yield
