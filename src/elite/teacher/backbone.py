"""Vision foundation models as one thing: images in, maps at chosen depths out.

Three small adapters to transformers: SAM (its crop path is ours, since transformers takes squares only), SAM 2, and
whatever AutoBackbone offers (DINOv2, DINOv3, Swin, ConvNeXt, ...). Each lists its blocks, so that they can be
adapted and checkpointed, and says the stride of its maps.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from elite.errors import ConfigError, first_line

# ImageNet's statistics on 0..255, which SAM and DINO were trained with.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class Backbone(nn.Module):
    """Images to maps: the part that every foundation model shares.

    Attributes:
        depths: blocks (or stages, of a model that has these) whose output is a map, counted from 0, rising.
        channels, strides: of each map; a map has one cell per ``stride`` pixels either way.
        blocks: dotted name within ``model`` of the list of its blocks.
        rel_pos: how SAM's relative positions are taken; None for other models.
        model: the transformers module.
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
        """One (w, channels[i], height / strides[i], width / strides[i]) per depth, of RGB images in 0..255.

        Raises:
            ConfigError: the images' size is not a multiple of the strides, or beyond the model's positions.
        """
        self.check_size(*images.shape[2:])
        return self.maps((images - self.mean) / self.std)

    def maps(self, pixels: Float[Tensor, "w 3 height width"]) -> list[Float[Tensor, "w _ _ _"]]:
        raise NotImplementedError

    def check_size(self, height: int, width: int) -> None:
        """Raises ConfigError if images of this size do not fit."""
        stride = max(self.strides)
        if height % stride or width % stride:
            nearest = tuple(max(1, round(n / stride)) * stride for n in (height, width))
            raise ConfigError(
                f"an image of {height} x {width} pixels is not whole patches of {stride}; set image.crop to multiples "
                f"of {stride}, such as {nearest[0]} x {nearest[1]}."
            )

    def smallest_size(self) -> tuple[int, int]:
        """Rows and columns of a small image that surely fits."""
        return max(self.strides), max(self.strides)

    def reached(self) -> frozenset[str]:
        """Names of the parameters of ``model`` that some map depends on.

        Not among them: blocks behind the last tap, output layers, a mask token that only pre-training uses.
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

    def recompute(self) -> None:
        """Keep no activations inside the blocks; the backward pass computes them again."""
        for block in self.block_list():
            block.forward = partial(_recomputed, block.forward)


def _recomputed(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)


def _leaves(outputs: Sequence[Tensor]) -> set[Any]:
    """The tensors at the ends of the graph that ``outputs`` were computed with."""
    todo: list[Any] = [output.grad_fn for output in outputs]
    seen: set[Any] = set()
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [before for before, _ in node.next_functions]
    return {node.variable for node in seen if hasattr(node, "variable")}


class SamBackbone(Backbone):
    """SAM's encoder (ViT with windows), without its neck, on crops of any whole number of patches.

    The position embedding is sliced: a crop is the corner of the square that SAM was trained on. The tables of
    relative positions are sliced too (``rel_pos`` slice), which gives exactly the square model's values for the same
    offsets; transformers, and the released ELiTe, stretch them to the crop's size (``rel_pos`` interpolate).
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
        return _run(self.block_list(), x, self.depths)


def sliced_rel_pos(q_size: int, k_size: int, rel_pos: Float[Tensor, "offsets c"]) -> Float[Tensor, "q k c"]:
    """Row of the table for every offset of query and key; the middle row is offset 0."""
    middle = len(rel_pos) // 2
    # Slices, whose gradient is summed in one order; indexing would add it up in any.
    return torch.stack([rel_pos[middle + q - k_size + 1 : middle + q + 1].flip(0) for q in range(q_size)])


class Sam2Backbone(Backbone):
    """SAM 2's encoder (Hiera), without its neck. Depths are blocks; deeper maps are coarser and wider.

    The position embedding is that of the size the model was trained at, sliced to the crop.
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
        return _run(self.block_list(), x, self.depths)


def _run(blocks: nn.ModuleList, x: Tensor, depths: Sequence[int]) -> list[Tensor]:
    """Blocks on (w, rows, columns, channels) up to the deepest tap; the taps as (w, channels, rows, columns)."""
    taps = []
    for i, block in enumerate(blocks[: depths[-1] + 1]):
        x = block(x)
        if i in depths:
            taps.append(x.permute(0, 3, 1, 2))
    return taps


def _check_positions(height: int, width: int, largest: int) -> None:
    if max(height, width) > largest:
        raise ConfigError(
            f"an image of {height} x {width} pixels reaches beyond the {largest} x {largest} that the foundation model "
            "has positions for; lower image.crop or image.scale."
        )


class AutoMaps(Backbone):
    """Any model of transformers' AutoBackbone. Depths count its stages: the blocks of a plain ViT.

    Raises:
        ConfigError: the model's outputs are not feature maps.
    """

    def __init__(self, model: nn.Module, depths: tuple[int, ...]) -> None:
        super().__init__(model, depths)
        self.blocks = _largest_list(model)
        self._smallest = (224, 224)  # a whole number of all strides in use: 4, 8, 14, 16, 32
        try:
            probe = self._probe(*self._smallest)
        except ConfigError:
            self._smallest = _own_size(model)
            probe = self._probe(*self._smallest)
        self.channels = tuple(m.shape[1] for m in probe)
        self.strides = tuple(self._smallest[0] // m.shape[2] for m in probe)
        self._fitting = {self._smallest}

    def smallest_size(self) -> tuple[int, int]:
        return self._smallest

    def check_size(self, height: int, width: int) -> None:
        """Tries every size once: some models are made for a single one."""
        super().check_size(height, width)
        if (height, width) not in self._fitting:
            self._probe(height, width)
            self._fitting.add((height, width))

    def maps(self, pixels: Tensor) -> list[Tensor]:
        return list(self.model(pixels).feature_maps)

    @torch.no_grad()
    def _probe(self, height: int, width: int) -> list[Tensor]:
        """Maps of an empty image, by the model in eval mode: nothing in it changes."""
        training = self.model.training
        try:
            maps = self.eval().maps(torch.zeros(1, 3, height, width, device=self.mean.device))
        except torch.OutOfMemoryError:
            raise
        except (ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{type(self.model).__name__} takes no images of {height} x {width} pixels ({first_line(error)}); it "
                f"was made for {' x '.join(map(str, _own_size(self.model)))}, set image.crop to that or take another "
                "foundation model."
            ) from error
        finally:
            self.train(training)
        if any(m.ndim != 4 for m in maps):
            raise ConfigError(f"{type(self.model).__name__} gives no maps (b, c, h, w); take another foundation model.")
        return maps


def _own_size(model: nn.Module) -> tuple[int, int]:
    """Rows and columns that the model was made for, by its configuration."""
    config: Any = model.config
    size = getattr(config, "image_size", 224)
    return (size, size) if isinstance(size, int) else tuple(size)


def _largest_list(model: nn.Module) -> str:
    """Name of the ModuleList that holds most of the weights: the blocks, or the stages."""
    lists = {name: m for name, m in model.named_modules() if isinstance(m, nn.ModuleList)}
    return max(lists, key=lambda name: sum(p.numel() for p in lists[name].parameters()))


def evenly_spaced(blocks: int, stages: int) -> tuple[int, ...]:
    """The last block of each of ``stages`` equal parts: 2, 5, 8, 11 of 12 blocks in 4 stages."""
    if blocks < stages:
        raise ConfigError(
            f"the foundation model has {blocks} blocks, too few for the student's {stages} stages; take another one."
        )
    return tuple((i + 1) * blocks // stages - 1 for i in range(stages))


def check_depths(depths: tuple[int, ...], blocks: int, stages: int) -> tuple[int, ...]:
    """``depths`` if there is one per stage and each exists.

    Raises:
        ConfigError: otherwise.
    """
    if len(depths) != stages or depths[-1] >= blocks:
        raise ConfigError(
            f"teacher.depths must name {stages} of the foundation model's blocks 0..{blocks - 1}, one per stage of the "
            f"student; found {', '.join(map(str, depths))}."
        )
    return depths
