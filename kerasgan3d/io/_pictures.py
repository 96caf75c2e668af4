"""Slices as PNG, BMP and JPEG."""

import warnings

import numpy as np

from kerasgan3d.io._common import FileError, Opened, reading
from kerasgan3d.io._layout import check_declared, loaded

PICTURES = (".png", ".bmp", ".jpg", ".jpeg")
_KIND = "a picture (PNG, BMP or JPEG)"
# 600 dots per inch: coarser resolutions are those of a screen or a printer, not of a microscope.
_FINEST_PRINT = 600
_ORIENTATION = 0x0112


def open_picture(path):
    """Open a slice that is stored as a picture, with black as the least value: an `Opened`."""
    with reading(path, _KIND), _image(path) as image:
        images = getattr(image, "n_frames", 1)
        if images != 1:
            raise FileError(f"{path} must hold one image. Received: {images}.")
        deep = image.mode.startswith("I")
        dtype = np.dtype(bool if image.mode == "1" else np.uint16 if deep else np.uint8)
        if any(";16" in str(tile) for tile in image.tile) and not deep:
            raise FileError(f"{path} must hold one grey value per pixel. Received: colours of 16 bits.")
        if image.format == "BMP" and image.mode == "1" and _bits_of_bmp(path) != 1:
            raise FileError(f"{path} must have 1 bit per pixel, or more than 2 colours. Received: 2. Save it as PNG.")
        shape, lossy = image.size[::-1], image.format == "JPEG"
        check_declared(path, (*shape, len(image.getbands())), dtype, path.stat().st_size)
        dots = [float(value) for value in image.info.get("dpi", (0, 0))]

    def load():
        with _image(path) as again:
            return _greys(path, again).astype(dtype, copy=False)

    spacing = None
    if min(dots) > _FINEST_PRINT * 1.001:
        x, y = (float(f"{25400 / value:.5g}") for value in dots)
        spacing = (x, y, x)
    return Opened(loaded(path, _KIND, shape, dtype, load), spacing, lossy="JPEG" if lossy else None)


def _image(path):
    """Open a picture and read its header."""
    from PIL import Image

    with warnings.catch_warnings():
        # Pillow warns of pictures above 89 million pixels, and refuses those above twice as many.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path, formats=("PNG", "BMP", "JPEG"))


def _bits_of_bmp(path):
    """Return the bits per pixel: Pillow reads two colours, black and white, as one bit each."""
    with path.open("rb") as stream:
        head = stream.read(30)
    start = 24 if head[14] == 12 else 28
    return int.from_bytes(head[start : start + 2], "little")


def _greys(path, image):
    """Return the grey values (y, x) of a picture of any mode."""
    if image.getexif().get(_ORIENTATION, 1) != 1:  # it may follow the pixels
        raise FileError(f"{path} must lie as it is stored. Received: a picture to be turned.")
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    values, clear = np.asarray(image), image.info.get("transparency")
    if values.ndim == 2 and not (isinstance(clear, int) and (values == clear).any()):
        return values
    colours = image.mode not in ("LA", "RGB", "RGBA")
    if image.mode in ("LA", "RGBA"):
        values, opaque = values[..., :-1], values[..., -1]
        colours |= bool((opaque != 255).any())
    if colours or values.ndim == 2 or (values != values[..., :1]).any():
        raise FileError(
            f"{path} must hold one grey value per pixel. Received: colours or transparency ({image.mode}). Save labels "
            "as 8-bit grey values first."
        )
    return np.ascontiguousarray(values[..., 0])
