"""Sources of the two sides of a comparison: images, generators, and statistics of images."""

import operator
import os
import sys
from pathlib import Path

import numpy as np

from kerasgan3d import io
from kerasgan3d.checks import check_voxel_size, plain_array
from kerasgan3d.data import exclusion
from kerasgan3d.folder import REFERENCE, current_statistics, read_json
from kerasgan3d.io.reading import open_path
from kerasgan3d.metrics._check import check_slice, check_volume
from kerasgan3d.metrics.ensemble import random_windows
from kerasgan3d.phases import PhaseMap, check_dense, default_names
from kerasgan3d.seeds import LEARNING, PERIODIC, SAMPLES, SCORING
from kerasgan3d.volume import Volume


class Images:
    """One or more images, from which sub-volumes are drawn.

    Attributes:
        name, kind: Readable name, and "volume", "slice" or "volumes".
        images: uint8 arrays (z, y, x) or (y, x).
        phases: Names of the phases, or None where they are unknown.
        voxel_size: Edge of a voxel in µm, or None where it is unknown.
        excluded: bool array, mask of voxels that no sub-volume may hold; None excludes nothing.
        filled: Number of missing planes that were filled.
    """

    def __init__(self, name, kind, images, phases, voxel_size, exclude=None, filled=0):
        if exclude and len(images) > 1:
            raise ValueError(f"`exclude` must be boxes of one image. Received: {len(images)} images.")
        self.name, self.kind, self.images = name, kind, images
        self.phases, self.voxel_size, self.filled = phases, voxel_size, filled
        self.excluded = exclusion(images[0].shape, _whole_boxes(exclude, images[0].ndim)) if exclude else None

    @property
    def dimensions(self):
        """Number of dimensions: 2 for slices, 3 for volumes."""
        return self.images[0].ndim

    @property
    def shape(self):
        """Shape of the image, None where there are several."""
        return list(self.images[0].shape) if len(self.images) == 1 else None

    def draw(self, count, size, seed, progress=None):
        """Return up to `count` sub-volumes, equally many from each image, no two from the same place."""
        return [window for _, window in self._windows(count, size, [seed, SAMPLES])]

    def corners(self, count, size, seed):
        """Return the image and the first corner of each sub-volume that `draw` returns."""
        return [place for place, _ in self._windows(count, size, [seed, SAMPLES])]

    def side_by_side(self, size):
        """Return all adjacent sub-volumes, from the first corner on, that hold no excluded voxels."""
        windows = [
            (k, tuple(slice(size * i, size * (i + 1)) for i in place))
            for k, image in enumerate(self.images)
            for place in np.ndindex(*(length // size for length in image.shape))
        ]
        return [self.images[k][w] for k, w in windows if self.excluded is None or not self.excluded[w].any()]

    def layout(self, count, size, seed):
        """Return the layout of the sub-volumes that `draw` returns, see `kerasgan3d.report.record.Windows`."""
        held = [np.zeros(image.shape, bool) for image in self.images]
        corners = self.corners(count, size, seed)
        for number, corner in corners:
            held[number][tuple(slice(c, c + size) for c in corner)] = True
        covered = sum(int(np.count_nonzero(part)) for part in held)
        return {
            "side_by_side": len(self.side_by_side(size)),
            "covered": covered / sum(image.size for image in self.images),
            "shared": len(corners) * size**self.dimensions / covered,
        }

    def halves(self, samples, size, seed):
        """Return sub-volumes of one half, sub-volumes of the other, and the number of the latter that do not overlap.

        Several images are divided into two halves; a single image is cut in the middle of its longest axis. None where
        it is too small for that.
        """
        images, excluded, count = self.images, self.excluded, len(samples)
        if len(images) == 1:
            axis = int(np.argmax(images[0].shape))
            middle = images[0].shape[axis] // 2
            cuts = [(slice(None),) * axis + (part,) for part in (slice(0, middle), slice(middle, None))]
            halves = [[images[0][cut]] for cut in cuts]
            excluded = [None if excluded is None else excluded[cut] for cut in cuts]
        else:
            halves, excluded = [images[::2], images[1::2]], [None, None]
        parts = [Images(self.name, self.kind, half, self.phases, self.voxel_size) for half in halves]
        for part, mask in zip(parts, excluded, strict=True):
            part.excluded = mask
        numbers = (count - count // 2, count // 2)
        try:
            train, test = (
                [window for _, window in part._windows(number, size, [seed, purpose])]
                for part, number, purpose in zip(parts, numbers, (LEARNING, SCORING), strict=True)
            )
        except ValueError:
            return None
        room = sum(int(np.prod([length // size for length in image.shape])) for image in halves[1])
        return train, test, min(len(test), room)

    def _windows(self, count, size, seed):
        windows, number = [], len(self.images)
        for k, image in enumerate(self.images[:count]):
            share = count // number + (k < count % number)
            for corner in random_windows(image.shape, size, share, [*seed, k], excluded=self.excluded):
                place = tuple(int(c) for c in corner)
                windows.append(((k, place), image[tuple(slice(c, c + size) for c in place)]))
        return windows


class Generated:
    """A generator: anything with `sample`, `phases` and `voxel_size`."""

    kind, dimensions, shape = "generator", 3, None

    def __init__(self, generator):
        card = getattr(generator, "card", None)
        self.name = (card.get("name") if isinstance(card, dict) else None) or "generator"
        self.generator = generator
        self.phases = tuple(generator.phases)
        self.voxel_size = check_voxel_size(generator.voxel_size)
        self.stride = getattr(generator, "stride", None)

    def draw(self, count, size, seed, progress=None):
        """Return `count` independent volumes, their seeds made from `seed`."""
        return self._sample(count, size, [seed, SAMPLES], progress)

    def periodic(self, count, size, seed, progress=None):
        """Return `count` independent volumes that are periodic along all axes."""
        return self._sample(count, size, [seed, PERIODIC], progress, periodic=True)

    def halves(self, samples, size, seed):
        """Return one half of the samples, the other, and the number of independent ones of the latter: all."""
        middle = len(samples) - len(samples) // 2
        return samples[:middle], samples[middle:], len(samples) - middle

    def _sample(self, count, size, seed, progress, **options):
        volumes = []
        for number in np.random.SeedSequence(seed).generate_state(count, np.uint64):
            volumes.append(np.asarray(self.generator.sample(size, seed=int(number), **options).labels))
            if progress is not None:
                progress(len(volumes), count)
        return volumes


class Reference:
    """Statistics of an image, the content of ``reference.json`` in a generator's folder.

    Attributes:
        statistics: The dict; lengths are in voxels where its "voxel_size" is None.
        size: Edge length of the sub-volumes, or windows, that were measured.
        voxel_size: Edge of a voxel in µm, that of the statistics, or else that given by the user.
        directed: Whether slices of known direction were measured, whose curves are along z, y and x.
    """

    kind, shape = "reference", None

    def __init__(self, name, statistics, voxel_size=None):
        try:
            statistics = current_statistics(statistics)
            self.name, self.statistics = name, statistics
            self.phases = tuple(PhaseMap(statistics["phases"]).names)
            self.voxel_size = check_voxel_size(statistics["voxel_size"]) or voxel_size
            made_of = statistics["sub_volumes"]
            self.size, self.dimensions, self.count = made_of["size"], made_of["dimensions"], made_of["count"]
            mean = statistics["mean"]
            shapes = [np.shape(mean[key]) for key in ("volume_fraction", "two_point_correlation")]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{name} must hold reference statistics: phases, voxel_size, sub_volumes, mean. "
                f"Received: no {error.args[0] if isinstance(error, KeyError) else 'such object'}."
            ) from error
        # Slices of known direction give the curves along all three axes.
        of_phases, of_lags = (len(self.phases),), [(len(self.phases), axes) for axes in {self.dimensions, 3}]
        if shapes[0] != of_phases or shapes[1][:-1] not in of_lags:
            raise ValueError(
                f"The means of {name} must be volume_fraction of each phase, {of_phases}, and two_point_correlation "
                f"of each phase, axis and distance, {' or '.join(map(str, of_lags))} and one more. "
                f"Received: {shapes[0]} and {shapes[1]}."
            )
        self.directed = self.dimensions < shapes[1][1]


def smallest_edge(source):
    """Return the shortest edge of all images of a side in voxels; None for a generator, and for statistics alone."""
    return min(min(image.shape) for image in source.images) if isinstance(source, Images) else None


def real_source(real, *, phases=None, mapping=None, voxel_size=None, exclude=None, **reading):
    """Return the real side: Images or Reference.

    Args:
        real: Volume, integer array (z, y, x) or (y, x), path of an image, a generator's folder, its ``reference.json``
            or the content of that file.
        phases, voxel_size: Names and µm, where they are unknown or wrong.
        mapping: Dict of grey value to name, for a file.
        exclude: Boxes, see `kerasgan3d.data.exclusion`; for a volume, a box of two ranges holds for every z.
        reading: `tolerance` and `fill_gaps`, for a file.

    Raises:
        ValueError, OSError: if it is none of these, or cannot be read.
    """
    voxel_size = check_voxel_size(voxel_size)
    if isinstance(real, (str, os.PathLike)):
        path = Path(real)
        statistics = path / REFERENCE if (path / REFERENCE).is_file() else path
        if statistics.suffix == ".json" and statistics.is_file():
            return _reference(path.name or str(path), read_json(statistics), voxel_size, exclude)
        image, names, size, filled = _read(path, phases, mapping, voxel_size, **reading)
        return Images(path.name, "volume" if image.ndim == 3 else "slice", [image], names, size, exclude, filled)
    if mapping is not None:
        raise ValueError(
            "`mapping` must be None unless the real image is a file: grey values of an array become labels with "
            f"PhaseMap.infer(image, mapping=mapping).encode(image). Received: {mapping!r}."
        )
    if isinstance(real, dict):
        return _reference("reference", real, voxel_size, exclude)
    image, names, size, _ = _given(real, phases, voxel_size)
    name = _provenance(real, "image")
    return Images(name, "volume" if image.ndim == 3 else "slice", [image], names, size, exclude)


def generated_source(generated, *, phases=None, mapping=None, voxel_size=None, **reading):
    """Return the generated side: Generated or Images.

    Args:
        generated: A generator (`sample`, `phases`, `voxel_size`), a Volume, an array, the path of a volume, a list of
            these, or the path of a folder of volumes.
        phases, mapping, voxel_size: For arrays, and for files that do not state them.
        reading: `tolerance` and `fill_gaps`, for files.

    Raises:
        ValueError, OSError: if it is none of these, or cannot be read.
    """
    voxel_size = check_voxel_size(voxel_size)
    if hasattr(generated, "sample") and hasattr(generated, "phases"):
        return Generated(generated)
    if isinstance(generated, (str, os.PathLike)):
        path = Path(generated)
        files = _volume_files(path)
        found = [_read_generated(file, phases, mapping, voxel_size, **reading) for file in files]
        name = path.name
    else:
        several = isinstance(generated, (list, tuple)) and (
            not generated or isinstance(generated[0], (str, os.PathLike)) or np.ndim(generated[0]) >= 2
        )
        if several and not generated:
            raise ValueError(f"The list of generated volumes must hold one or more. Received: {generated!r}.")
        found = [
            _read_generated(Path(each), phases, mapping, voxel_size, **reading)
            if isinstance(each, (str, os.PathLike))
            else _given(each, phases, voxel_size)
            for each in (generated if several else [generated])
        ]
        name = f"{len(found)} volumes" if several else _provenance(generated, "volume")
    images, names, sizes, filled = zip(*found, strict=True)
    kinds = {(image.ndim, names[k], sizes[k]) for k, image in enumerate(images)}
    if len(kinds) > 1:
        raise ValueError(f"Generated volumes must agree in dimensions, phases and voxel size. Received: {kinds}.")
    return Images(name, "volumes", list(images), names[0], sizes[0], filled=sum(filled))


def agree(real, generated):
    """Return the phases and the voxel size of both sides, and notes on assumptions about one of them.

    Raises:
        ValueError: if they disagree, or the voxel size is unknown on both.
    """
    notes = []
    if None not in (real.phases, generated.phases) and tuple(real.phases) != tuple(generated.phases):
        raise ValueError(
            "The phases of both sides must be the same, in the same order. "
            f"Received: {', '.join(real.phases)} of {real.name}, and {', '.join(generated.phases)} of "
            f"{generated.name}. Name the real ones with `phases`, or their grey values with `mapping`."
        )
    phases = real.phases or generated.phases
    for side, other in ((real, generated), (generated, real)):
        if side.phases is None and other.phases is not None:
            notes.append(f"{side.name} does not name its phases: taken for {', '.join(phases)}, in this order")
    sizes = [size for size in (real.voxel_size, generated.voxel_size) if size is not None]
    if not sizes:
        raise ValueError("The voxel size is unknown on both sides: pass `voxel_size` in µm.")
    if max(sizes) > min(sizes) * 1.001:
        raise ValueError(
            "The voxel sizes of both sides must be the same: resample one of them. "
            f"Received: {sizes[0]:g} µm of {real.name}, and {sizes[1]:g} µm of {generated.name}."
        )
    for side in (real, generated):
        if side.voxel_size is None:
            notes.append(f"{side.name} does not state its voxel size: taken for {sizes[0]:g} µm")
        if isinstance(side, Images) and side.filled:
            notes.append(f"{side.name} lacks {side.filled} planes: the nearest stand for them")
    labels = [image for side in (real, generated) if isinstance(side, Images) for image in side.images]
    highest = max((int(image.max()) for image in labels), default=0)
    phases = default_names(highest + 1) if phases is None else tuple(phases)
    if highest >= len(phases):
        raise ValueError(
            f"There must be a name for every phase. Received: {len(phases)} names, {', '.join(phases)}, and labels "
            f"up to {highest}."
        )
    return phases, sizes[0], notes


def _reference(name, statistics, voxel_size, exclude):
    if exclude:
        raise ValueError(
            f"`exclude` must be None unless there is a real image to leave boxes out of. Received: {exclude!r}, and "
            f"the statistics of {name}, which are made already."
        )
    return Reference(name, statistics, voxel_size)


def _given(image, phases, voxel_size):
    """Return labels, names and voxel size of a Volume or an array, None where unknown, and 0 filled planes."""
    names = None if phases is None else tuple(PhaseMap(phases).names)
    if isinstance(image, Volume):
        return image.labels, names or image.phases, voxel_size or image.voxel_size, 0
    image = plain_array(image)
    check = check_slice if image.ndim == 2 else check_volume
    checked = check(image)
    if names is None:
        check_dense(checked.labels, checked.phases - 1)
    return checked.labels, names, voxel_size, 0


def _provenance(image, otherwise):
    provenance = image.provenance if isinstance(image, Volume) else {}
    name = provenance.get("file")
    return name if isinstance(name, str) else otherwise


def _read(path, phases, mapping, voxel_size, **reading):
    found = io.open_labels(path, phases, mapping, voxel_size, in_memory=sys.maxsize, **reading)
    names, spacing = tuple(found.phase_map.names), found.spacings[0]
    unnamed = phases is None and mapping is None and names == default_names(len(names))
    size = None if spacing is None else spacing[2]
    return np.asarray(found.images[0]), None if unnamed else names, size, len(found.filled[0])


def _read_generated(path, phases, mapping, voxel_size, tolerance=None, fill_gaps=False):
    said = open_path(path, fill_gaps)[1]
    if "phases" in said:
        phases = mapping = tolerance = None
    size = voxel_size if said.get("voxel_size") is None else None
    return _read(path, phases, mapping, size, tolerance=tolerance, fill_gaps=fill_gaps)


def _volume_files(path):
    """Return the paths of the volumes at a path: the path itself, or the files in the folder."""
    if not path.is_dir() or path.suffix.lower() == ".zarr":
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in io.SUFFIXES and file.name[0] != ".")
    if not files:
        raise ValueError(f"The folder must hold volumes ({', '.join(io.SUFFIXES)}). Received: {path}, which has none.")
    # A folder of slices is a single volume.
    return files if len(io.image_shape(files[0])) == 3 else [path]


def _whole_boxes(boxes, dimensions):
    try:
        boxes = [tuple(None if pair is None else tuple(map(operator.index, pair)) for pair in box) for box in boxes]
    except TypeError:
        raise ValueError(
            "`exclude` must be a list of boxes, each one (start, stop) in voxels per axis, such as "
            f"[((0, 64), (0, 64), (10, 20))]. Received: {boxes!r}."
        ) from None
    return [(None, *box) if len(box) == 2 and dimensions == 3 else box for box in boxes]
