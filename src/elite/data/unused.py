"""What a training run does not use: a line each, so that nobody finds out from the result."""

from collections.abc import Iterator

from elite.data.dataset import ScoringSet, TrainingSet
from elite.datasets.semantickitti import SemanticKITTI
from elite.layout import CAMERAS, SPLITS


def unused_data(training: TrainingSet, scored: ScoringSet | None) -> Iterator[str]:
    """Lines about what the selection lacks, and about what the data set has and the run does not use."""
    frames = training.frames
    if frames.absent:
        yield f"training on the sequences that are there; {', '.join(frames.absent)} are not in the data set"
    yield from _unlabelled(frames, training.unlabelled, "training", "left out")
    if scored is not None:
        yield from _unlabelled(scored.frames, [], "validation", "not scored")
    yield from frames.unused
    yield from _images(training)
    if training.unlabelled:
        yield f"{len(training.labelled)} training scans show their labels, {len(training.unlabelled)} do not"
    if training.dense.folders:
        yield f"{training.dense_images} images of {len(training.labelled)} labelled training scans have dense labels"
    if frames.derived and frames.derived not in (frames.labels_layout, *training.dense.layouts.values()):
        yield f"{frames.derived.root} is not used: it holds neither data.labels nor data.dense_labels"
    if training.augment.cutmix.objects and not training.has_objects:
        yield "no training scan that was looked at has instance ids, so cutmix finds no object to paste there"
    yield from _sequences(frames, () if scored is None else scored.frames.sequences)


def _unlabelled(frames: SemanticKITTI, used: list[int], kind: str, what: str) -> Iterator[str]:
    """Scans without labels, except those that are ``used`` all the same."""
    count = len(frames) - len(frames.labelled()) - sum(not frames.index[i].has_labels for i in used)
    if count:
        has, is_out = ("has", "is") if count == 1 else ("have", "are")
        yield f"{count} of {len(frames)} {kind} scans {has} no labels in '{frames.labels_folder}' and {is_out} {what}"


def _images(training: TrainingSet) -> Iterator[str]:
    frames, layout = training.frames, training.frames.layout
    if frames.cameras and training.without_images:
        yield f"{training.without_images} training scans have no image and train the student alone"
    there = [c for c in CAMERAS if any(layout.image(s, "0", c).parent.is_dir() for s in frames.sequences)]
    if there and not frames.cameras:
        yield f"the images in {', '.join(there)} are not used without a teacher (see --teacher.weights)"
    elif unseen := [camera for camera in there if camera not in frames.cameras]:
        yield f"the images in {', '.join(unseen)} are not used (see --data.cameras)"


def _sequences(frames: SemanticKITTI, scored: tuple[str, ...]) -> Iterator[str]:
    """The test split is not meant for training."""
    left = {*frames.layout.found_sequences()} - {*frames.sequences, *scored, *SPLITS["test"]}
    if left:
        are = "sequence {} is" if len(left) == 1 else "sequences {} are"
        yield f"{are.format(', '.join(sorted(left)))} not used (see --data.sequences and --data.val_sequences)"
