"""What a run learns from: labelled images of one material, their crops and their statistics."""

import numpy as np

from kerasgan3d.crops import NoRoomError
from kerasgan3d.data import SamplerPair, SliceSampler, Symmetry, VolumeSampler
from kerasgan3d.io.lazy import LazyArray
from kerasgan3d.training.diffusivity import diffusivities_of
from kerasgan3d.training.images import read_images
from kerasgan3d.training.morphology import reference_statistics, structuring_length
from kerasgan3d.training.physics import alike, both_diagonals, spread, statistics, volume_spread
from kerasgan3d.training.sections import section_statistics, section_targets, section_windows

# Statistics of data that stay in their file are those of so many sub-volumes.
_STORED_SAMPLES = 64
# So many windows say how large structures are.
_STRUCTURES = 9
# So many windows say how much windows vary, if so many have room side by side.
_SPREAD_WINDOWS = 600
_SPREAD_CROPS = 8
# So many sub-volumes for each direction say how phases conduct: of a hundred the mean would be off by some percent.
_DIFFUSIVITIES = 200
# So many say how much sub-volumes vary.
_VOLUMES = 400


class Material:
    """Labelled images of one material.

    Args:
        data: One path as for ``kerasgan3d.io.read``, of a volume or a slice; a list of paths, all of volumes or all of
            slices; or a dict from "z", "y", "x" to paths, folders or patterns of slices normal to that axis.
        symmetry: The Symmetry of the material.
        phases, mapping, voxel_size: As for ``kerasgan3d.io.read``.
        exclude: Boxes, see ``kerasgan3d.data.exclusion``: nothing that touches one is used.
        mask: Path of an image of the same shape, or of a slice for all z: only where it is not 0 is used.
        hold_out: A box that training does not see; its statistics are for comparison.
        resample_to: Edge length in µm to which voxels are resampled, nearest label. Boxes and mask are in voxels of the
            file.
        in_memory: Bytes; larger images stay in their files, see ``kerasgan3d.io.open_labels``.

    Attributes:
        data: The LabelledData: images, symmetry, and what of them training may use.
        phases: Names of the phases.
        voxel_size: µm, or None.
        held_out: The window that is held out, a tuple of slices; or None.
        counts: Voxels of each phase that may be used, (phases,).
        facts: dict of what identifies the data, for JSON.

    Raises:
        FileNotFoundError, OSError: if a file is missing or cannot be read.
        ValueError: if the data are no segmented images of at least two phases, each of which occurs, or an argument is
            not as above.
    """

    def __init__(
        self,
        data,
        symmetry,
        *,
        phases=None,
        mapping=None,
        voxel_size=None,
        exclude=None,
        mask=None,
        hold_out=None,
        resample_to=None,
        in_memory=2**31,
    ):
        options = {"phases": phases, "mapping": mapping, "voxel_size": voxel_size, "in_memory": in_memory}
        found = read_images(
            data, symmetry, exclude=exclude, mask=mask, hold_out=hold_out, resample_to=resample_to, **options
        )
        self.data, self.symmetry, self.phases, self.voxel_size = found.data, symmetry, found.phases, found.voxel_size
        self.facts, self.name, self.held_out, self._beside = found.facts, found.name, found.held_out, found.beside
        self.counts = self.data.counts()
        self._check_phases()

    @property
    def images(self):
        """The labels of each image: arrays, or ``kerasgan3d.io.LazyArray``."""
        return self.data.images

    @property
    def labels(self):
        """The same in the form in which samplers take them: an array, a list, or a dict from axis to list."""
        if self.data.normals is not None:
            known = dict.fromkeys(self.data.normals)
            return {
                axis: [i for i, k in zip(self.images, self.data.normals, strict=True) if k == axis] for axis in known
            }
        return self.images[0] if len(self.images) == 1 else list(self.images)

    @property
    def excluded(self):
        """What training may not touch of the one image there is: bool, of its shape; or None."""
        return self.data.excluded[0]

    @property
    def dimensions(self):
        """3, or 2 where all that is known are slices."""
        return self.data.dimensions

    @property
    def fractions(self):
        """Share of each phase in what may be used: (phases,)."""
        return self.counts / self.counts.sum()

    def sampler(self, recipe, seed):
        """What gives a recipe's batches of this material.

        Raises:
            ValueError: if the data are smaller than the crop or do not go with the critics.
        """
        self._check_held_out(recipe.crop)
        if recipe.critic == "volumes":
            return VolumeSampler(self.data, recipe.crop, recipe.batch, self.symmetry, recipe.spacing, seed)
        per_group = [recipe.batch * recipe.slices * len(group) for group in self.symmetry.groups]
        slices = SliceSampler(self.data, recipe.crop, per_group, self.symmetry, seed)
        if not recipe.volume_crop:
            return slices
        options = {"spacing": recipe.spacing, "seed": seed}
        return SamplerPair(slices, VolumeSampler(self.data, recipe.volume_crop, recipe.batch, self.symmetry, **options))

    def reference(self, size):
        """Statistics of random sub-volumes of what training sees, see ``reference_statistics``."""
        options = {"size": size, "counts": self.counts}
        if self.data.normals is not None:
            return section_statistics(self.data, self.phases, self.voxel_size, self.symmetry, **options)
        return reference_statistics(self.data, self.phases, self.voxel_size, **options)

    def structuring_length(self, crop):
        """Length of the largest structuring element in voxels, see ``structuring_length``; of some larger windows."""
        edge = min((2 if self.dimensions == 3 else 4) * crop, self.data.smallest)
        try:
            samples = self._windows(edge, _STRUCTURES)
        except NoRoomError:  # for larger ones beside what is excluded
            samples = self._windows(crop, _STRUCTURES)
        return structuring_length(samples, len(self.phases))

    def crops(self, crop):
        """How many crops lie side by side in what may be used, on the lattice that begins at the corner."""
        return self.data.side_by_side(crop)

    def held_out_reference(self, size):
        """The same of what is held out; None where nothing is."""
        if self.held_out is None:
            return None
        labels = self.images[0][self.held_out]
        excluded = None if self._beside is None else self._beside[self.held_out]
        return reference_statistics(labels, self.phases, self.voxel_size, size=size, excluded=excluded)

    def slices(self, size, count=6):
        """Random square slices, to be looked at: a list of (size, size)."""
        samples = self._windows(size, count)
        return [part if part.ndim == 2 else part.take(size // 2, k % 3) for k, part in enumerate(samples)]

    def _windows(self, size, count):
        if self.data.normals is not None:
            return [window for window, _ in section_windows(self.data, size, count)]
        return self.data.random_crops(size, count)

    def statistics(self, lags=(), crop=None, conducting=None, varying=None):
        """What generators may be pulled towards, see ``kerasgan3d.training.physics``.

        Args:
            lags: Lags in voxels of the two-point correlation.
            crop: Edge length in voxels of the windows of which "spread" is the variance. Without, and where too few of
                them lie side by side in the data to say it, there is no "spread".
            conducting: Edge length in voxels of the sub-volumes of which "diffusivity" is the mean. Without, and of
                data that are slices, there is no "diffusivity".
            varying: Edge length in voxels of the sub-volumes of which "volume_spread" is the variance. Without, of data
                that are slices, and where too few lie side by side, there is no "volume_spread".
        """
        found = self._means(lags) if self.data.normals is None else self._sections(lags)
        found = {**found, "fractions": self.fractions}
        if crop is not None and self.crops(crop) >= _SPREAD_CROPS:
            found["spread"] = self._spread(crop)
        if conducting is not None and self.dimensions == 3:
            found["diffusivity"] = self._diffusivity(conducting)
        if varying is not None and self.dimensions == 3 and self.crops(varying) >= _SPREAD_CROPS:
            found["volume_spread"] = volume_spread(self._sub_volumes(varying, _VOLUMES), len(self.phases))
        return found

    def _spread(self, crop):
        """How much the area fractions of slices of a crop's size vary."""
        sampler = SliceSampler(self.data, crop, [1] * len(self.symmetry.groups), self.symmetry)
        drawn = [sampler.batch(i) for i in range(_SPREAD_WINDOWS)]
        return spread([np.concatenate(parts) for parts in zip(*drawn, strict=True)], len(self.phases), self.symmetry)

    def _diffusivity(self, crop):
        """How the phases of sub-volumes conduct, on average: each in one direction, so that there may be more."""
        drawn = self._sub_volumes(crop, 3 * _DIFFUSIVITIES)
        found = [diffusivities_of(three, len(self.phases)) for three in zip(drawn, drawn, drawn, strict=True)]
        return alike(np.mean(found, axis=0).T, self.symmetry).T

    def _sub_volumes(self, crop, count):
        """Sub-volumes drawn at random."""
        # Flipped, but not turned: axes stay what they are.
        sampler = VolumeSampler(self.data, crop, 1, Symmetry("orthotropic"))
        return (sampler.batch(i)[0][0] for i in range(count))

    def _means(self, lags):
        """Means over images; over sub-volumes of volumes that stay in their files, and windows of one such slice."""
        blocks, excluded = self.images, self.data.excluded
        if isinstance(blocks[0], LazyArray) and (self.dimensions == 3 or len(blocks) == 1):
            size = min(2 * max([32, *lags]), self.data.smallest)
            if self.dimensions == 3:
                blocks = list(self._sub_volumes(size, _STORED_SAMPLES))
            else:
                sampler = SliceSampler(self.data, size, [1])
                blocks = [sampler.batch(i)[0][0] for i in range(_STORED_SAMPLES)]
            excluded = (None,) * len(blocks)
        found = [
            statistics(np.asarray(block), len(self.phases), self.symmetry, lags=lags, excluded=beside)
            for block, beside in zip(blocks, excluded, strict=True)
        ]
        if len(found) == 1:
            return found[0]
        weights = np.array([block.size for block in blocks], float)
        return {key: np.average([part[key] for part in found], axis=0, weights=weights) for key in found[0]}

    def _sections(self, lags):
        """Means over windows of slices in known directions, axis by axis."""
        windows = section_windows(self.data, min(2 * max([32, *lags]), self.data.smallest), 3 * _STORED_SAMPLES)
        found = [(section_targets(window, len(self.phases), lags), axes) for window, axes in windows]

        def along(key, axis):
            return np.mean([values[key][:, axes.index(axis)] for values, axes in found if axis in axes], axis=0)

        s2, surface = (alike(np.stack([along(key, i) for i in range(3)]), self.symmetry) for key in ("s2", "surface"))

        def normal_to(key):
            means = [np.mean([values[key] for values, axes in found if i not in axes], axis=0) for i in range(3)]
            return alike(np.stack(means), self.symmetry)

        return {
            "s2": np.moveaxis(s2, 0, 1),
            "diagonal": both_diagonals(normal_to("diagonal")),
            "surface": surface.T,
            "tpb": normal_to("tpb"),
        }

    def _check_phases(self):
        if not sum(self.counts):
            raise ValueError(
                f"something of {self.name} must be left to learn from. Received: all excluded. Exclude less."
            )
        missing = [name for name, count in zip(self.phases, self.counts, strict=True) if not count]
        if missing:
            where = self.name if self.excluded is None else f"what may be used of {self.name}"
            raise ValueError(
                f"every phase must occur in the data. Received: no voxel of {', '.join(missing)} in {where}. Leave it "
                "out of `phases` or `mapping` (--phases, --map), or give data that hold it."
            )

    def _check_held_out(self, crop):
        shape = [part.stop - part.start for part in self.held_out or ()]
        if min(shape, default=crop) < crop:
            raise ValueError(
                f"`hold_out` must be at least as large as a crop of {crop} voxels per side. Received: "
                f"{' x '.join(map(str, shape))}."
            )
