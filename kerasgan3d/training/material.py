"""What a run learns from: labelled images of one material, and what of them may be used."""

import glob
import math
import os
from pathlib import Path

import numpy as np

from kerasgan3d import io
from kerasgan3d.checks import check_voxel_size
from kerasgan3d.data import SamplerPair, SliceSampler, Symmetry, VolumeSampler, box_window, counts
from kerasgan3d.training.diffusivity import diffusivities_of
from kerasgan3d.training.excluded import Excluded, box_pairs, digest, with_box
from kerasgan3d.training.morphology import (
    reference_statistics,
    structuring_length,
    sub_volumes,
)
from kerasgan3d.training.physics import alike, both_diagonals, spread, statistics, volume_spread
from kerasgan3d.training.resampling import resampled, resampled_range
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
        data: One path as for ``kerasgan3d.io.read``, of a volume or a slice; a list of paths, each of one slice; or a
            dict from "z", "y", "x" to paths, folders or patterns of slices normal to that axis.
        symmetry: The Symmetry of the material.
        phases, mapping, voxel_size: As for ``kerasgan3d.io.read``.
        exclude: Boxes, see ``kerasgan3d.data.exclusion``: nothing that touches one is used.
        mask: Path of an image of the same shape, or of a slice for all z: only where it is not 0 is used.
        hold_out: A box that training does not see; its statistics are for comparison.
        resample_to: Edge length in µm to which voxels are resampled, nearest label. Boxes and mask are in voxels of the
            file.
        in_memory: Bytes; larger images stay in their files, see ``kerasgan3d.io.open_labels``.

    Attributes:
        labels: What samplers take: an array, a list, or a dict from axis to list.
        phases: Names of the phases.
        voxel_size: µm, or None.
        excluded: What training may not touch: bool, of the labels' shape; or None.
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
        self.symmetry = symmetry
        resample_to = _checked_resampling(resample_to)
        paths, normals = _paths(data)
        opened = io.open_labels(paths, phases, mapping, voxel_size, in_memory=in_memory, cubic=resample_to is None)
        self.phases = opened.phase_map.names
        self.name = io.source_name(paths[0]) if len(paths) == 1 else f"{len(paths)} images"
        if len(self.phases) < 2:
            raise ValueError(f"training needs at least two phases. Received: {len(self.phases)} in {self.name}.")
        images, spacings = opened.images, opened.spacings
        several = len(images) > 1 or normals is not None
        if several and any(given is not None and given != () for given in (exclude or None, mask, hold_out)):
            raise ValueError(
                "`exclude`, `mask` and `hold_out` are of one image. Received: several. Crop the images, or leave one "
                "out of the list."
            )
        self.facts = _facts(paths, images, normals)
        excluded = None if several else Excluded.of(images[0], exclude, mask, self.facts)
        held_out = None if hold_out is None else box_window(box_pairs(hold_out), images[0].shape)
        if held_out is not None:
            self.facts["held_out"] = [[part.start, part.stop] for part in held_out]
        self.voxel_size = _common_voxel_size(paths, spacings, resample_to)
        if resample_to is not None:
            self.facts["resampled_to"] = resample_to
            edges = [spacing[-image.ndim :] for image, spacing in zip(images, spacings, strict=True)]
            held_out = held_out and tuple(
                slice(*resampled_range(part.start, part.stop, n, edge, resample_to))
                for part, n, edge in zip(held_out, images[0].shape, edges[0], strict=True)
            )
            excluded = None if excluded is None else resampled(excluded, edges[0], resample_to)
            images = [resampled(image, part, resample_to) for image, part in zip(images, edges, strict=True)]
        self.images, self.held_out, self._beside = list(images), held_out, excluded
        self.excluded = with_box(excluded, held_out, images[0].shape)
        if isinstance(images[0], np.ndarray) and self.excluded is not None:
            self.excluded = _whole(self.excluded)
        self.labels = _labels(self.images, normals, several)
        self.counts = sum(counts(image, len(self.phases), self.excluded) for image in self.images)
        self._check_phases()

    @property
    def dimensions(self):
        """3, or 2 where all that is known are slices."""
        return 3 if getattr(self.labels, "ndim", 0) == 3 else 2

    @property
    def fractions(self):
        """Share of each phase in what may be used: (phases,)."""
        return self.counts / self.counts.sum()

    def sampler(self, recipe, seed):
        """What gives a recipe's batches of this material.

        Raises:
            ValueError: if the data are smaller than the crop or do not go with the critics.
        """
        if self.held_out is not None:
            self._check_held_out(recipe.crop)
        if recipe.critic == "volumes":
            return VolumeSampler(
                self.labels, recipe.crop, recipe.batch, self.symmetry, recipe.spacing, seed, self.excluded
            )
        per_group = [recipe.batch * recipe.slices * len(group) for group in self.symmetry.groups]
        slices = SliceSampler(self.labels, recipe.crop, per_group, self.symmetry, seed, self.excluded)
        if not recipe.volume_crop:
            return slices
        options = {"spacing": recipe.spacing, "seed": seed, "excluded": self.excluded}
        return SamplerPair(
            slices, VolumeSampler(self.labels, recipe.volume_crop, recipe.batch, self.symmetry, **options)
        )

    def reference(self, size):
        """Statistics of random sub-volumes of what training sees, see ``reference_statistics``."""
        options = {"size": size, "counts": self.counts}
        if isinstance(self.labels, dict):
            return section_statistics(self.labels, self.phases, self.voxel_size, self.symmetry, **options)
        return reference_statistics(self.labels, self.phases, self.voxel_size, excluded=self.excluded, **options)

    def structuring_length(self, crop):
        """Length of the largest structuring element in voxels, see ``structuring_length``; of some larger windows."""
        if isinstance(self.labels, dict):
            edge = min(4 * crop, *(n for image in self.images for n in image.shape[-2:]))
            samples = [window for window, _ in section_windows(self.labels, self.symmetry, edge, _STRUCTURES)]
        else:
            shapes = [n for image in self.images for n in image.shape]
            edge = min((2 if self.dimensions == 3 else 4) * crop, *shapes)
            try:
                samples = sub_volumes(self.labels, edge, _STRUCTURES, excluded=self.excluded)
            except ValueError:  # no room for larger ones beside what is excluded
                samples = sub_volumes(self.labels, crop, _STRUCTURES, excluded=self.excluded)
        return structuring_length(samples, len(self.phases))

    def crops(self, crop):
        """How many crops lie side by side in what may be used, on the lattice that begins at the corner."""
        if self.excluded is None:
            shapes = [image.shape[-self.dimensions :] for image in self.images]
            stacks = [image.shape[0] if image.ndim > self.dimensions else 1 for image in self.images]
            return sum(k * math.prod(n // crop for n in shape) for k, shape in zip(stacks, shapes, strict=True))
        corners = np.ndindex(*(n // crop for n in self.excluded.shape))
        places = (tuple(slice(crop * i, crop * (i + 1)) for i in corner) for corner in corners)
        return sum(not self.excluded[place].any() for place in places)

    def held_out_reference(self, size):
        """The same of what is held out; None where nothing is."""
        if self.held_out is None:
            return None
        labels = self.labels[self.held_out]
        excluded = None if self._beside is None else self._beside[self.held_out]
        return reference_statistics(labels, self.phases, self.voxel_size, size=size, excluded=excluded)

    def slices(self, size, count=6):
        """Random square slices, to be looked at: a list of (size, size)."""
        if isinstance(self.labels, dict):
            return [window for window, _ in section_windows(self.labels, self.symmetry, size, count)]
        samples = sub_volumes(self.labels, size, count, excluded=self.excluded)
        return [part if part.ndim == 2 else part.take(size // 2, k % 3) for k, part in enumerate(samples)]

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
        n = len(self.phases)
        if isinstance(self.labels, np.ndarray):
            found = statistics(self.labels, n, self.symmetry, lags=lags, excluded=self.excluded)
        else:
            found = self._sections(lags) if isinstance(self.labels, dict) else self._means(lags)
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
        sampler = SliceSampler(self.labels, crop, [1] * len(self.symmetry.groups), self.symmetry, 0, self.excluded)
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
        sampler = VolumeSampler(self.labels, crop, 1, Symmetry("orthotropic"), excluded=self.excluded)
        return (sampler.batch(i)[0][0] for i in range(count))

    def _means(self, lags):
        """Means over images, or over sub-volumes of one that stays in its file."""
        n, blocks, symmetry = len(self.phases), self.images, Symmetry("orthotropic")
        if len(blocks) == 1:
            # Flipped, but not turned: axes stay what they are.
            size = min(2 * max([32, *lags]), *blocks[0].shape)
            draw = (
                VolumeSampler(blocks[0], size, 1, symmetry, excluded=self.excluded)
                if self.dimensions == 3
                else SliceSampler(blocks[0], size, [1], excluded=self.excluded)
            )
            blocks = [draw.batch(i)[0][0] for i in range(_STORED_SAMPLES)]
        found = [statistics(_whole(block), n, self.symmetry, lags=lags) for block in blocks]
        weights = np.array([block.size for block in blocks], float)
        return {key: np.average([part[key] for part in found], axis=0, weights=weights) for key in found[0]}

    def _sections(self, lags):
        """Means over windows of slices in known directions, axis by axis."""
        size = min(2 * max([32, *lags]), *(n for image in self.images for n in image.shape[-2:]))
        windows = section_windows(self.labels, self.symmetry, size, 3 * _STORED_SAMPLES)
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
        shape = [part.stop - part.start for part in self.held_out]
        if min(shape) < crop:
            raise ValueError(
                f"`hold_out` must be at least as large as a crop of {crop} voxels per side. Received: "
                f"{' x '.join(map(str, shape))}."
            )


class _Plane:
    """One slice, normal to the first axis, of an image that stays in its file."""

    def __init__(self, image, k):
        self._image, self._k = image, k
        self.shape, self.dtype, self.ndim = tuple(image.shape[1:]), image.dtype, 2
        self.size = math.prod(self.shape)

    def __getitem__(self, window):
        return self._image[(self._k, *window)]


def _paths(data):
    """All paths, and for each the axis that its slices are normal to; None where that is not said."""
    if isinstance(data, str | os.PathLike):
        return [data], None
    if isinstance(data, dict):
        unknown = [key for key in data if key not in ("z", "y", "x")]
        if unknown or not data:
            raise ValueError(f"`data` by direction must have the keys 'z', 'y' or 'x'. Received: {list(data)!r}.")
        expanded = [(path, "zyx".index(key)) for key in data for path in _expanded(data[key])]
        return [path for path, _ in expanded], [normal for _, normal in expanded]
    try:
        paths = list(data)
    except TypeError:
        paths = []
    if not paths or not all(isinstance(path, str | os.PathLike) for path in paths):
        raise ValueError(
            f"`data` must be a path, a list of paths, or a dict from 'z', 'y', 'x' to paths. Received: {data!r}."
        )
    return paths, None


def _expanded(source):
    """The files that a path, folder or pattern of slices, or a list of them, stands for."""
    if not isinstance(source, str | os.PathLike):
        return [path for part in source for path in _expanded(part)]
    path = Path(source)
    names = []
    if path.is_dir() and path.suffix.lower() != ".zarr":
        names = [p for p in path.iterdir() if p.suffix.lower() in (".tif", ".tiff") and not p.name.startswith(".")]
    elif not path.exists() and glob.has_magic(os.fspath(source)):
        names = glob.glob(os.fspath(source))
    else:
        return [source]
    if not names:
        raise ValueError(f"there must be slices to learn from. Received: {source}, where there are none.")
    return sorted(names, key=str)


def _labels(images, normals, several):
    """What samplers take."""
    if not several:
        return images[0]
    if normals is None:
        solid = [image.shape for image in images if image.ndim != 2]
        if solid:
            raise ValueError(f"several images must be slices, each 2D. Received: one of shape {solid[0]}.")
        return images
    found = {}
    for image, normal in zip(images, normals, strict=True):
        found.setdefault(normal, []).extend(
            [image]
            if image.ndim == 2
            else [image[k] if isinstance(image, np.ndarray) else _Plane(image, k) for k in range(image.shape[0])]
        )
    return found


def _facts(paths, images, normals):
    parts = [
        {"file": io.source_name(path), "shape": list(image.shape), "sha256": digest(image)}
        for path, image in zip(paths, images, strict=True)
    ]
    if normals is not None:
        parts = [{**part, "normal": "zyx"[normal]} for part, normal in zip(parts, normals, strict=True)]
    elif len(parts) == 1:
        return parts[0]
    return {"file": f"{len(parts)} images", "shape": [sum(image.size for image in images)], "images": parts}


def _common_voxel_size(paths, spacings, resample_to):
    if resample_to is not None:
        unknown = [path for path, spacing in zip(paths, spacings, strict=True) if spacing is None]
        if unknown:
            raise ValueError(
                f"`resample_to` needs the voxel size of the data. Received: none in {unknown[0]}. Pass `voxel_size` "
                "(--voxel-size)."
            )
        return resample_to
    sizes = [None if spacing is None else spacing[-1] for spacing in spacings]
    for path, size in zip(paths, sizes, strict=True):
        if not math.isclose(size or 0.0, sizes[0] or 0.0, rel_tol=1e-3):
            raise ValueError(
                f"images must have one voxel size. Received: {_stated(sizes[0])} in {paths[0]} and {_stated(size)} in "
                f"{path}. Pass `resample_to` (--resample-to), or `voxel_size` if what the files say is wrong."
            )
    return sizes[0]


def _stated(size):
    return "none" if size is None else f"{size:g} µm"


def _checked_resampling(size):
    try:
        return check_voxel_size(size)
    except ValueError:
        raise ValueError(f"`resample_to` must be a positive number, in µm. Received: {size!r}.") from None


def _everything(image):
    return (slice(None),) * image.ndim


def _whole(image):
    return np.asarray(image[_everything(image)])
