"""Reading and writing of volume files.

Formats are TIFF (also folders of slices), NumPy, OME-Zarr, VTK image data, and others for reading; `docs/formats.md`
says what each one stores. Files are read strictly: nothing is guessed that two readers could guess differently. A file
is written next to its final path and moved there when it is complete, so that a path holds either the whole volume or
its previous content.
"""

from kerasgan3d.io._itk import raw_path
from kerasgan3d.io.converting import convert
from kerasgan3d.io.formats import PROBABILITY_SUFFIXES, STREAM_SUFFIXES, SUFFIXES, is_there
from kerasgan3d.io.lazy import LazyArray, windows
from kerasgan3d.io.reading import (
    GapWarning,
    LabelImage,
    LabelImages,
    VoxelSizeWarning,
    image_shape,
    open_image,
    open_labels,
    read_image,
    read_labels,
    source_name,
)
from kerasgan3d.io.streaming import VolumeWriter, blocks, checksum, partial_path, partial_record
from kerasgan3d.io.volume import StoredVolume, Volume, VolumeRecord, open_volume, read, write
from kerasgan3d.io.writing import check_writable, write_probabilities

# Labels that stay in their file are one kind of lazy array.
StoredLabels = LazyArray

__all__ = [
    "PROBABILITY_SUFFIXES",
    "STREAM_SUFFIXES",
    "SUFFIXES",
    "GapWarning",
    "LabelImage",
    "LabelImages",
    "LazyArray",
    "StoredLabels",
    "StoredVolume",
    "Volume",
    "VolumeRecord",
    "VolumeWriter",
    "VoxelSizeWarning",
    "blocks",
    "check_writable",
    "checksum",
    "convert",
    "image_shape",
    "is_there",
    "open_image",
    "open_labels",
    "open_volume",
    "partial_path",
    "partial_record",
    "raw_path",
    "read",
    "read_image",
    "read_labels",
    "source_name",
    "windows",
    "write",
    "write_probabilities",
]
