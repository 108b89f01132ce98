"""Common interface of vision foundation models: feature maps of images at selected depths.

Three wrappers of transformers models: SAM (with its own path for crops, since transformers supports squares only),
SAM 2, and the models of AutoBackbone (DINOv2, DINOv3, Swin, ConvNeXt, ...). Each names its blocks, for adaptation and
activation checkpointing, and the strides of its maps.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from elite.errors import ConfigError, first_line, is_machine_fault
from elite.shapes import Float, UInt8

# ImageNet statistics on 0..255, with which SAM and DINO were trained.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class Backbone(nn.Module):
    """Base class of the foundation models: images to maps.

    Attributes:
        depths: blocks (or stages of AutoBackbone models) whose output is a map, counted from 0, ascending.
        channels, strides: channels and stride of each map; a cell of a map covers stride x stride pixels.
        blocks: dotted name of the list of blocks within ``model``.
        rel_pos: treatment of the relative positions of SAM on a crop; None for other models.
        model: transformers module.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    blocks: str
    rel_pos: str | None = None
    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, depths: tuple[int, ...]) -> None:
        super().__init__()
        self.model = model
        self.depths = depths
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, images: UInt8[Tensor, "w 3 height width"]) -> list[Float[Tensor, "w _ _ _"]]:
        """Compute a map (w, channels[i], height / strides[i], width / strides[i]) per depth of RGB images in 0..255.

        Raises:
            ConfigError: the image size is not a multiple of the strides, or exceeds the positions of the model.
        """
        self.check_size(*images.shape[2:])
        return self.maps((images - self.mean) / self.std)

    def maps(self, pixels: Float[Tensor, "w 3 height width"]) -> list[Float[Tensor, "w _ _ _"]]:
        raise NotImplementedError

    def check_size(self, height: int, width: int) -> None:
        """Check that the model accepts images of this size.

        Raises:
            ConfigError: it does not.
        """
        stride = max(self.strides)
        if height % stride or width % stride:
            nearest = tuple(max(1, round(n / stride)) * stride for n in (height, width))
            raise ConfigError(
                f"image size: expected multiples of {stride} pixels, found {height} x {width}. Set image.crop to such "
                f"as {nearest[0]} x {nearest[1]}."
            )

    def smallest_size(self) -> tuple[int, int]:
        """Rows and columns of a small image that the model accepts."""
        return max(self.strides), max(self.strides)

    def parameters_in_use(self) -> frozenset[str]:
        """Names of the parameters of ``model`` that the maps depend on.

        Blocks after the last tap, output layers and mask tokens of pre-training are not among them.
        """
        needed_gradient = {p: p.requires_grad for p in self.model.parameters()}
        self.model.requires_grad_(True)
        with torch.enable_grad():
            maps = self.maps(torch.zeros(1, 3, *self.smallest_size(), device=self.mean.device))
        leaves = _leaves(maps)
        for p, before in needed_gradient.items():
            p.requires_grad_(before)
        return frozenset(name for name, p in self.model.named_parameters() if p in leaves)

    def block_list(self) -> nn.ModuleList:
        blocks = self.model.get_submodule(self.blocks)
        assert isinstance(blocks, nn.ModuleList)
        return blocks

    def checkpoint_activations(self) -> None:
        """Recompute the activations of the blocks in the backward pass, to save memory."""
        for block in self.block_list():
            block.forward = partial(_recomputed, block.forward)


def _recomputed(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)


def _leaves(outputs: Sequence[Tensor]) -> set[Any]:
    """Leaf tensors of the graph of ``outputs``."""
    todo: list[Any] = [output.grad_fn for output in outputs]
    seen: set[Any] = set()
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [function for function, _ in node.next_functions]
    return {node.variable for node in seen if hasattr(node, "variable")}


class SamBackbone(Backbone):
    """Encoder of SAM (ViT with windows) without its neck, on crops of any number of patches.

    The position embedding is sliced: a crop is a corner of the square that SAM was trained on. With ``rel_pos`` slice,
    the tables of relative positions are sliced as well, which keeps the values of the square model for equal offsets.
    With ``rel_pos`` interpolate, they are resampled to the size of the crop, as in transformers and the released ELiTe.
    """

    blocks = "layers"

    def __init__(
        self, encoder: nn.Module, depths: tuple[int, ...], *, rel_pos: Literal["slice", "interpolate"] = "slice"
    ) -> None:
        super().__init__(encoder, depths)
        config: Any = encoder.config
        self.channels = (config.hidden_size,) * len(depths)
        self.strides = (config.patch_size,) * len(depths)
        self.positions = config.image_size // config.patch_size
        self.rel_pos = rel_pos
        if rel_pos == "slice":
            for layer in self.block_list():
                layer.attn.get_rel_pos = sliced_rel_pos  # type: ignore[union-attr]

    def check_size(self, height: int, width: int) -> None:
        super().check_size(height, width)
        _check_positions(height, width, self.positions * self.strides[0])

    def maps(self, pixels: Tensor) -> list[Tensor]:
        model: Any = self.model
        x = model.patch_embed.projection(pixels).permute(0, 2, 3, 1)  # (w, rows, columns, channels)
        if model.pos_embed is not None:
            x = x + model.pos_embed[:, : x.shape[1], : x.shape[2]]
        return _run_blocks(self.block_list(), x, self.depths)


def sliced_rel_pos(q_size: int, k_size: int, rel_pos: Float[Tensor, "offsets c"]) -> Float[Tensor, "q k c"]:
    """Row of the table for each offset between query and key; the middle row is offset 0."""
    middle = len(rel_pos) // 2
    # The gradient of slices is deterministic; that of indexing is not.
    return torch.stack([rel_pos[middle + q - k_size + 1 : middle + q + 1].flip(0) for q in range(q_size)])


class Sam2Backbone(Backbone):
    """Encoder of SAM 2 (Hiera) without its neck. Depths are blocks; deeper maps are coarser and have more channels.

    The position embedding has the training size of the model and is sliced to the crop.
    """

    blocks = "blocks"

    def __init__(self, encoder: nn.Module, depths: tuple[int, ...]) -> None:
        super().__init__(encoder, depths)
        config: Any = encoder.config
        stage_of_block = [stage for stage, n in enumerate(config.blocks_per_stage) for _ in range(n)]
        self.channels = tuple(config.embed_dim_per_stage[stage_of_block[d]] for d in depths)
        stride = config.patch_stride[0]
        self.strides = tuple(
            stride * config.query_stride[0] ** min(stage_of_block[d], config.num_query_pool_stages) for d in depths
        )
        self.largest = tuple(config.image_size)

    def check_size(self, height: int, width: int) -> None:
        super().check_size(height, width)
        _check_positions(height, width, min(self.largest))

    def maps(self, pixels: Tensor) -> list[Tensor]:
        model: Any = self.model
        x = model.patch_embed(pixels)
        stride = pixels.shape[2] // x.shape[1]
        position = model._get_pos_embed(tuple(n // stride for n in self.largest))
        x = x + position[:, : x.shape[1], : x.shape[2]]
        return _run_blocks(self.block_list(), x, self.depths)


def _run_blocks(blocks: nn.ModuleList, x: Tensor, depths: Sequence[int]) -> list[Tensor]:
    """Run the blocks on ``x`` (w, rows, columns, channels) and return the maps as (w, channels, rows, columns)."""
    taps = []
    for i, block in enumerate(blocks[: depths[-1] + 1]):
        x = block(x)
        if i in depths:
            taps.append(x.permute(0, 3, 1, 2))
    return taps


def _check_positions(height: int, width: int, largest: int) -> None:
    if max(height, width) > largest:
        raise ConfigError(
            f"image size: expected at most {largest} x {largest} pixels, the positions of the foundation model, found "
            f"{height} x {width}. Lower image.crop or image.scale."
        )


class TransformersBackbone(Backbone):
    """A model of the transformers AutoBackbone. Depths are its stages, which are the blocks of a plain ViT.

    Raises:
        ConfigError: the model's outputs are not feature maps.
    """

    def __init__(self, model: nn.Module, depths: tuple[int, ...]) -> None:
        super().__init__(model, depths)
        self.blocks = _name_of_blocks(model)
        self._smallest = (224, 224)  # a multiple of the usual strides 4, 8, 14, 16, 32
        try:
            probe = self._probe(*self._smallest)
        except ConfigError:
            self._smallest = _native_size(model)
            probe = self._probe(*self._smallest)
        self.channels = tuple(m.shape[1] for m in probe)
        self.strides = tuple(self._smallest[0] // m.shape[2] for m in probe)
        self._accepted_sizes = {self._smallest}

    def smallest_size(self) -> tuple[int, int]:
        return self._smallest

    def check_size(self, height: int, width: int) -> None:
        """Check a size by a trial, once per size: some models accept only one.

        Raises:
            ConfigError: the model does not accept it.
        """
        super().check_size(height, width)
        if (height, width) not in self._accepted_sizes:
            self._probe(height, width)
            self._accepted_sizes.add((height, width))

    def maps(self, pixels: Tensor) -> list[Tensor]:
        return list(self.model(pixels).feature_maps)

    @torch.no_grad()
    def _probe(self, height: int, width: int) -> list[Tensor]:
        """Maps of an empty image, computed in eval mode, which leaves the model unchanged."""
        training = self.model.training
        try:
            maps = self.eval().maps(torch.zeros(1, 3, height, width, device=self.mean.device))
        except (ValueError, RuntimeError) as error:
            if is_machine_fault(error):
                raise
            raise ConfigError(
                f"{type(self.model).__name__}: expected images of {' x '.join(map(str, _native_size(self.model)))} "
                f"pixels, found {height} x {width} ({first_line(error)}). Set image.crop to that size, or choose "
                "another foundation model."
            ) from error
        finally:
            self.train(training)
        if any(m.ndim != 4 for m in maps):
            raise ConfigError(
                f"{type(self.model).__name__}: expected maps (b, c, h, w), found {maps[0].ndim} axes. Choose another "
                "foundation model."
            )
        return maps


def _native_size(model: nn.Module) -> tuple[int, int]:
    """Rows and columns of the training images, from the configuration of the model."""
    config: Any = model.config
    size = getattr(config, "image_size", 224)
    return (size, size) if isinstance(size, int) else tuple(size)


def _name_of_blocks(model: nn.Module) -> str:
    """Name of the ModuleList with the most weights: the blocks, or the stages."""
    lists = {name: m for name, m in model.named_modules() if isinstance(m, nn.ModuleList)}
    return max(lists, key=lambda name: sum(p.numel() for p in lists[name].parameters()))


def evenly_spaced(blocks: int, stages: int) -> tuple[int, ...]:
    """Last block of each of ``stages`` equal parts: 2, 5, 8, 11 for 12 blocks and 4 stages.

    Raises:
        ConfigError: there are fewer blocks than stages.
    """
    if blocks < stages:
        raise ConfigError(
            f"foundation model: expected at least {stages} blocks, one per stage of the student, found {blocks}. "
            "Choose another model."
        )
    return tuple((i + 1) * blocks // stages - 1 for i in range(stages))


def check_depths(depths: tuple[int, ...], blocks: int, stages: int) -> tuple[int, ...]:
    """Return ``depths`` after checking that there is one per stage and that each exists.

    Raises:
        ConfigError: their number or a depth is wrong.
    """
    if len(depths) != stages or depths[-1] >= blocks:
        raise ConfigError(
            f"teacher.depths: expected {stages} of the blocks 0..{blocks - 1}, one per stage of the student, found "
            f"{', '.join(map(str, depths))}. Correct them, or remove the setting."
        )
    return depths
