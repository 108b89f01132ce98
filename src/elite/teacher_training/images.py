"""Images of a teacher training, and their loaders."""

from collections.abc import Iterable
from functools import partial

from torch.utils.data import DataLoader, default_collate

from elite.config import TeacherTrainingConfig
from elite.data.datamodule import BoundedLoading
from elite.data.image_set import ImageSample, ImageSet, Target, shuffled_keys
from elite.data.loading import bytes_in_flight, shared_bytes
from elite.datasets import open_dataset, resolved_cameras
from elite.errors import ConfigError
from elite.layout import parse_names
from elite.stopping import Stopping

_TARGETS: dict[str, Target] = {"segments": "segments", "classes": "classes", "reconstruction": "none"}


class Images(BoundedLoading):
    """Loaders of shuffled training images, one per step and batch position, and of held-out images in order."""

    def __init__(self, config: TeacherTrainingConfig, stopping: Stopping | None = None) -> None:
        super().__init__(config.data.timeout, stopping)
        self.config, data = config, config.data
        if data.root is None:
            raise ConfigError("DATA: expected the folder that contains sequences/, found none. Give DATA.")
        self.train_set = self._image_set(data.sequences, data.frames, without=data.val_sequences, augment=True)
        validated = data.val_sequences != "none"
        self.val_set = self._image_set(data.val_sequences, data.val_frames, augment=False) if validated else None

    def train_dataloader(self) -> DataLoader[ImageSample]:
        """Loader of the training images, in random order."""
        data = self.config.data
        keys = shuffled_keys(len(self.train_set), self.config.steps * data.batch_size, self.config.seed)
        return self.loader(
            self.train_set, default_collate, workers=data.workers, batch_size=data.batch_size, sampler=keys
        )

    def val_dataloader(self) -> Iterable[ImageSample]:
        """Loader of the held-out images; empty without a held-out set."""
        if self.val_set is None:
            return []
        keys = [(0, i) for i in range(len(self.val_set))]
        return self.loader(
            self.val_set, default_collate, workers=min(1, self.config.data.workers), batch_size=1, sampler=keys
        )

    def read_startup_samples(self) -> int:
        """Read the first image of each set. Returns bytes of shared memory that the loader processes take at a time.

        Raises:
            DataError: the image is damaged, or smaller than the crop.
        """
        data = self.config.data
        first = [self.read(partial(p.__getitem__, (0, 0))) if p else None for p in (self.train_set, self.val_set)]
        sizes = [shared_bytes(default_collate([image])) if image else 0 for image in first]
        training = bytes_in_flight(sizes[0] * data.batch_size, data.workers)
        return training + (bytes_in_flight(sizes[1], min(1, data.workers)) if self.val_set else 0)

    def _image_set(
        self, sequences: str | None, frames: str | None, *, without: str = "none", augment: bool
    ) -> ImageSet:
        config = self.config
        assert config.data.root is not None
        cameras = parse_names(resolved_cameras(config.data.cameras, config.data.root, config.data.format))
        selected = open_dataset(
            config.data.root,
            config.data.format,
            taxonomy=config.data.taxonomy,
            sequences=sequences,
            frames=frames,
            cameras=cameras,
            without=without,
            frame_files="images",
        )
        target = _TARGETS[config.objective]
        return ImageSet(selected, config.image, target=target, seed=config.seed, augment=augment)
