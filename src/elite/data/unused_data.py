"""Report of the data that a training run does not use."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from elite.data.dataset import ScoringSet, TrainingSet
from elite.datasets import Dataset
from elite.errors import DataError
from elite.formatting import sequence_list


def unused_data(training: TrainingSet, scored: ScoringSet | None) -> Iterator[str]:
    """Lines about data that the selection lacks, and about present data that the run does not use."""
    frames, budget = training.frames, training.budget
    if frames.absent:
        yield f"sequences {sequence_list(frames.absent)} are not in the data set; training uses the others"
    yield from _unlabelled(frames, budget.unlabelled, "skipped training")
    if scored is not None:
        yield from _unlabelled(scored.frames, [], "unscored validation")
        yield from shared_scans(frames, scored.frames)
    yield from (*frames.unused, *frames.unlabelled)
    yield from _images(training)
    if unlabelled := len(budget.unlabelled) or _without_labels(frames, scored):
        use = "all are used" if budget.unlabelled else "the unlabelled ones are used by --config few-labels"
        yield f"{len(budget.labelled):,} labelled, {unlabelled:,} unlabelled training scans; {use}"
    if training.dense.folders:
        yield f"{training.dense_images} images of {len(budget.labelled)} labelled training scans have dense labels"
    yield from _derived(training)
    if training.augment.cutmix.objects and not training.paster.finds_objects():
        yield "no instance ids found in a sample of the training scans, so cutmix pastes no objects"
    yield from _sequences(frames, () if scored is None else scored.frames.sequences)


def shared_scans(training: Dataset, scored: Dataset) -> Iterator[str]:
    """Scans for training that are also scored, such as those of nuScenes' mini_train in val."""
    shared = {*training.ids} & {*scored.ids}
    if shared:
        sequences = sequence_list(sorted({frame_id.sequence for frame_id in shared}))
        yield (
            f"{len(shared)} training scans are also validation scans (sequences {sequences}): the score is not that of "
            "unseen data"
        )


def _without_labels(frames: Dataset, scored: ScoringSet | None) -> int:
    """Number of scans without labels, in the training sequences and in those of no split."""
    rest = frames.unselected({*frames.sequences, *(() if scored is None else scored.frames.sequences)})
    parts = [frames]
    with suppress(DataError):  # the other sequences lack the selected frames
        parts += [frames.select(replace(frames.selection, sequences=",".join(rest)))] if rest else []
    return sum(len(part) - len(part.labelled()) for part in parts)


def _unlabelled(frames: Dataset, used: list[int], kind: str) -> Iterator[str]:
    """Scans without labels, except those that are ``used`` nevertheless."""
    count = len(frames) - len(frames.labelled()) - sum(not frames.has_labels(i) for i in used)
    if count:
        yield f"{kind} scans, which have no labels in '{frames.selection.labels}': {count} of {len(frames)}"


def _images(training: TrainingSet) -> Iterator[str]:
    frames = training.frames
    if frames.cameras and training.without_images:
        yield f"{training.without_images} training scans have no image and train the student without a teacher"
    present = frames.available_cameras()
    if present and not frames.cameras:
        yield f"the images in {', '.join(present)} are not used without a teacher (see --teacher.weights)"
    elif unused := [camera for camera in present if camera not in frames.cameras]:
        yield f"the images in {', '.join(unused)} are not used (see --data.cameras)"


def _derived(training: TrainingSet) -> Iterator[str]:
    root = training.frames.unused_derived(training.dense.folders.values())
    if root is not None:
        yield f"{root} is not used: it has neither data.labels nor data.dense_labels"


def _sequences(frames: Dataset, scored: tuple[str, ...]) -> Iterator[str]:
    """Sequences that the run does not use, except the test split."""
    if left := frames.unselected({*frames.sequences, *scored}):
        are = "sequence {} is" if len(left) == 1 else "sequences {} are"
        yield f"{are.format(sequence_list(left))} not used (see --data.sequences and --data.val-sequences)"
