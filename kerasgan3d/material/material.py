"""`Material`: labelled images of one material with their crops and statistics, as used by training."""

import numpy as np

from kerasgan3d.crops import NoRoomError
from kerasgan3d.material.images import read_images
from kerasgan3d.material.sections import section_statistics, section_windows
from kerasgan3d.material.statistics import reference_statistics, structuring_length

# Number of windows from which the size of structures is measured.
_STRUCTURES = 9
# Gayon-Lombardo et al., npj Comput. Mater. 6:82 (2020), ask for sub-volumes that hold so many structuring elements.
_ENOUGH = 2
_LEAST = 4  # voxels per side: no crop is smaller


class Material:
    """Labelled images of one material.

    Args:
        data: One path as for ``kerasgan3d.io.read``, of a volume or a slice; a list of paths, all of volumes or all of
            slices; or a dict from "z", "y", "x" to paths, folders or patterns of slices normal to that axis.
        symmetry: The Symmetry of the material.
        phases, mapping, voxel_size, tolerance, fill_gaps: As for ``kerasgan3d.io.read``.
        exclude: Boxes, see ``kerasgan3d.data.exclusion``: no crop touches one.
        mask: Path of an image of the same shape, or of one slice for all z: only voxels where it is not 0 are used.
        hold_out: A box that training does not see; its statistics serve for comparison.
        resample_to: Edge length in µm to which voxels are resampled, by nearest label. Boxes and mask are in voxels of
            the file.
        in_memory: Bytes; larger images stay in their files, see ``kerasgan3d.io.open_labels``.

    Attributes:
        data: The LabelledData: images, symmetry, and the regions that training may not use.
        phases: Names of the phases.
        voxel_size: Edge of a voxel in µm, or None.
        held_out: The window that is held out, a tuple of slices; or None.
        counts: Usable voxels of each phase, (phases,).
        facts: dict of facts that identify the data, for JSON.

    Raises:
        FileNotFoundError, OSError: if a file is missing or cannot be read.
        ValueError: if the data are not segmented images of at least two phases, each of which occurs, or an argument
            is none of these.
    """

    def __init__(
        self,
        data,
        symmetry,
        *,
        phases=None,
        mapping=None,
        voxel_size=None,
        tolerance=None,
        fill_gaps=False,
        exclude=None,
        mask=None,
        hold_out=None,
        resample_to=None,
        in_memory=2**31,
    ):
        options = {"phases": phases, "mapping": mapping, "voxel_size": voxel_size, "in_memory": in_memory}
        options |= {"tolerance": tolerance, "fill_gaps": fill_gaps}
        found = read_images(
            data, symmetry, exclude=exclude, mask=mask, hold_out=hold_out, resample_to=resample_to, **options
        )
        self.data, self.symmetry, self.phases, self.voxel_size = found.data, symmetry, found.phases, found.voxel_size
        self.facts, self.name, self.held_out, self._beside = found.facts, found.name, found.held_out, found.beside
        self.counts = self.data.counts()
        self._check_phases()

    @property
    def images(self):
        """Labels of each image: arrays, or ``kerasgan3d.io.LazyArray``."""
        return self.data.images

    @property
    def excluded(self):
        """Mask of the voxels of a single image that training may not use: bool, of its shape; or None."""
        return self.data.excluded[0]

    @property
    def left_out(self):
        """What of the images is not trained on, in words; empty where all is."""
        parts = []
        if self.excluded is not None:
            whole = sum(image.size for image in self.images)
            parts.append(f"{100 * self.counts.sum() / whole:.3g} % of them used")
        if self.held_out is not None:
            held = " x ".join(str(part.stop - part.start) for part in self.held_out)
            parts.append(f"a block of {held} held out")
        return "".join(f", {part}" for part in parts)

    @property
    def dimensions(self):
        """Number of dimensions: 3, or 2 where the data are slices."""
        return self.data.dimensions

    @property
    def fractions(self):
        """Fraction of each phase among the usable voxels: (phases,)."""
        return self.counts / self.counts.sum()

    def reference(self, size):
        """Return statistics of random sub-volumes of the training data, see ``reference_statistics``."""
        options = {"size": size, "counts": self.counts}
        if self.data.normals is not None:
            return section_statistics(self.data, self.phases, self.voxel_size, self.symmetry, **options)
        return reference_statistics(self.data, self.phases, self.voxel_size, **options)

    def room(self, most):
        """Return the edge of the largest crop, at most ``most`` voxels, that touches no excluded region."""
        fits, high = _LEAST, min(most, self.data.smallest)
        edge = high  # most data have nothing excluded
        while fits < high:
            try:
                self.data.crops((edge,) * self.dimensions)
                fits = edge
            except NoRoomError:
                high = edge - 1
            edge = (fits + high + 1) // 2
        return fits

    def structuring_length(self, crop):
        """Return the length of the largest structuring element in voxels, measured on windows larger than a crop."""
        edge = min((2 if self.dimensions == 3 else 4) * crop, self.data.smallest)
        try:
            samples = self._windows(edge, _STRUCTURES)
        except NoRoomError:  # for larger ones outside excluded regions
            samples = self._windows(crop, _STRUCTURES)
        return structuring_length(samples, len(self.phases))

    def structures(self, crop):
        """Tell in words how long structures are, and how many of them a crop holds."""
        length = self.structuring_length(crop)
        if not np.isfinite(length):
            return f"structures are larger than crops of {crop} voxels: pass a larger crop, or resample the data"
        held = crop / length
        few = "" if held >= _ENOUGH else f"; there should be {_ENOUGH}: pass a larger crop, or resample the data"
        return (
            f"structures up to {length:.0f} voxels long (twice the lag at which the S2 covariance falls below 1/e); a "
            f"crop holds {held:.1f} of them per side{few}"
        )

    def crops(self, crop):
        """Count the usable crops that lie side by side on the lattice that begins at the first corner."""
        return self.data.side_by_side(crop)

    def held_out_reference(self, size):
        """Return statistics of the held-out box, as ``reference``; None without one."""
        if self.held_out is None:
            return None
        labels = self.images[0][self.held_out]
        excluded = None if self._beside is None else self._beside[self.held_out]
        return reference_statistics(labels, self.phases, self.voxel_size, size=size, excluded=excluded)

    def slices(self, size, count=6):
        """Return random square slices for display: a list of (size, size)."""
        samples = self._windows(size, count)
        return [part if part.ndim == 2 else part.take(size // 2, k % 3) for k, part in enumerate(samples)]

    def _windows(self, size, count):
        if self.data.normals is not None:
            return [window for window, _ in section_windows(self.data, size, count)]
        return self.data.random_crops(size, count)

    def _check_phases(self):
        if not sum(self.counts):
            raise ValueError(
                f"something of {self.name} must be left to learn from. Received: all excluded. Exclude less."
            )
        missing = [name for name, count in zip(self.phases, self.counts, strict=True) if not count]
        if missing:
            where = self.name if self.excluded is None else f"the usable part of {self.name}"
            raise ValueError(
                f"every phase must occur in the data. Received: no voxel of {', '.join(missing)} in {where}. Leave it "
                "out of `phases` or `mapping`, or give data that hold it."
            )

    def check_held_out(self, crop):
        """Check that a sub-volume of ``crop`` voxels per side fits into the held-out box."""
        shape = [part.stop - part.start for part in self.held_out or ()]
        if min(shape, default=crop) < crop:
            raise ValueError(
                f"`hold_out` must be at least as large as a crop of {crop} voxels per side. Received: "
                f"{' x '.join(map(str, shape))}."
            )
