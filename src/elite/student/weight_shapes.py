"""Names and shapes of a student's weights, by its configuration."""

from collections.abc import Iterator, Mapping, Sequence

from elite.config import StudentConfig
from elite.errors import CheckpointError

_FEATURES = 10  # of a point, without its age
_KERNEL = 27  # positions
Shape = tuple[int, ...]


def check_fit(config: StudentConfig, shapes: Mapping[str, Sequence[int]], source: object, *, remedy: str) -> None:
    """Check that weights have every key and every shape of such a student.

    Raises:
        CheckpointError: names the first difference and the ``source`` of the weights, with a ``remedy``.
    """
    expected = weight_shapes(config)
    found = {name: tuple(shape) for name, shape in shapes.items()}
    faults = [f"no '{name}'" for name in expected if name not in found]
    faults += [f"an unknown '{name}'" for name in found if name not in expected]
    faults += [
        f"'{name}' of shape {found[name]} where {shape} is expected"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if faults:
        more = f" and {len(faults) - 1} more differences" if len(faults) > 1 else ""
        raise CheckpointError(
            f"{source}: expected a student of {config.classes} classes, {config.channels} channels and "
            f"{config.past_scans} past scans, found "
            f"{faults[0]}{more}. {remedy}."
        )


def weight_shapes(config: StudentConfig) -> dict[str, Shape]:
    """Return the shape of each weight of :class:`elite.student.SPVCNN`, in the order of its state."""
    return dict(_weights(config.channels, len(config.strides) - 1, config.classes, config.past_scans > 0))


def _weights(channels: int, stages: int, classes: int, has_age: bool) -> Iterator[tuple[str, Shape]]:
    half = channels // 2
    yield from _linear("point_mlp.hidden", _FEATURES + has_age, channels)
    yield from _linear("point_mlp.out", channels, channels)
    for i in range(stages):
        for block in (f"stages.{i}.voxel.{b}" for b in range(2)):
            for part in ("1", "2"):
                yield f"{block}.conv{part}.weight", (_KERNEL, channels, channels)
                yield from _norm(f"{block}.norm{part}", channels)
            yield f"{block}.shortcut.weight", (channels, channels)
            yield from _norm(f"{block}.shortcut_norm", channels)
        point = f"stages.{i}.point"
        yield from _linear(f"{point}.own", channels, channels)
        yield from _linear(f"{point}.block.0", channels, half)
        yield from _norm(f"{point}.block.2", half)
        yield from _linear(f"{point}.block.3", half, half)
        yield from _norm(f"{point}.block.5", half)
        yield from _linear(f"{point}.block.6", half, channels)
        yield from _linear(f"{point}.fuse", 2 * channels, channels)
        yield from _linear(f"{point}.out", channels, channels)
    yield from _linear("classifier.0", channels * stages, 2 * channels)
    yield from _linear("classifier.2", 2 * channels, classes)


def _linear(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, channels: int) -> Iterator[tuple[str, Shape]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)
    yield f"{name}.num_batches_tracked", ()
