"""Files of volumes: the only place that reads and writes them.

TIFF (also folders of slices), NumPy, OME-Zarr, HDF5 and VTK image data; `docs/formats.md` says what each one stores. A
file is read strictly: nothing is guessed that two readers could guess differently. A file is written beside its final
place and moved there when it is complete, so that a path holds either the whole volume or what it held before.
"""

from kerasgan3d.io.reading import (
    LabelImage,
    LabelImages,
    open_image,
    open_labels,
    open_volume,
    read,
    read_image,
    read_labels,
    source_name,
)
from kerasgan3d.io.record import VolumeRecord
from kerasgan3d.io.stored import StoredLabels, StoredVolume, windows
from kerasgan3d.io.streaming import STREAM_SUFFIXES, VolumeWriter, blocks, checksum, partial_record
from kerasgan3d.io.writing import PROBABILITY_SUFFIXES, SUFFIXES, check_writable, write, write_probabilities

__all__ = [
    "PROBABILITY_SUFFIXES",
    "STREAM_SUFFIXES",
    "SUFFIXES",
    "LabelImage",
    "LabelImages",
    "StoredLabels",
    "StoredVolume",
    "VolumeRecord",
    "VolumeWriter",
    "blocks",
    "check_writable",
    "checksum",
    "open_image",
    "open_labels",
    "open_volume",
    "partial_record",
    "read",
    "read_image",
    "read_labels",
    "source_name",
    "windows",
    "write",
    "write_probabilities",
]
