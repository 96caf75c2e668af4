"""Checks of a file of weights before it is read, since it may come from an untrusted source."""

from collections import Counter

import h5py
import numpy as np

from kerasgan3d.models.architectures import LIMITS, kernel_weights

_MAX_OBJECTS = 512
_MAX_DEPTH = 8
_MAX_ATTRIBUTE = 4096  # bytes; Keras stores names and dtypes in attributes


def check_size(path, arguments):
    """Check that a file is large enough for a network, before the network is made.

    This bounds the memory that a folder can claim to a small multiple of its download size.

    Args:
        path: Path of the file.
        arguments: Arguments of the Generator.

    Raises:
        ValueError: if the file is smaller than the kernels of that network in half precision.
    """
    n_phases = len(arguments.get("phases", ()))
    channels = [arguments.get("latent_channels"), *arguments.get("widths", ()), n_phases]
    depths = arguments.get("depths", ())
    if not all(type(n) is int and n > 0 for n in channels) or not all(type(n) is int and n >= 0 for n in depths):
        return  # defaults, or values that the Generator itself refuses
    taps = 27 if arguments.get("upsampling", "resize") == "resize" else 64
    weights = kernel_weights(channels, taps, depths)
    long, many = len(channels) - 2 > LIMITS["layers"], channels[-1] > LIMITS["phases"]
    if (
        long
        or many
        or len(depths) not in (0, len(channels) - 2)
        or sum(depths) > LIMITS["depths"]
        or weights > LIMITS["weights"]
    ):
        return  # refused by the Generator, with its own message
    if 2 * weights > path.stat().st_size:
        _refuse(path, f"it would take {2 * weights} bytes or more, the file has {path.stat().st_size}")


def check_structure(path, shapes):
    """Check that an HDF5 file holds groups and plain arrays of the given shapes, each once, and nothing else.

    No array is read. Soft and external links are refused, as are arrays that lie in other files, are virtual,
    compressed or not stored, or do not hold numbers.

    Args:
        path: Path of the file.
        shapes: The shapes of all weights, in any order.

    Raises:
        ValueError: if the file holds anything else.
    """
    found, seen = [], set()
    try:
        with h5py.File(path, "r") as file:
            _walk(path, file, "", 0, seen, found)
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        _refuse(path, (str(error).splitlines() or [type(error).__name__])[0], error)
    missing, more = Counter(shapes) - Counter(found), Counter(found) - Counter(shapes)
    if missing or more:
        parts = [
            f"{what} {', '.join(str(shape) for shape in list(counter)[:3])}"
            for what, counter in (("there is no array of shape", missing), ("there is one too many of shape", more))
            if counter
        ]
        _refuse(path, "; ".join(parts))


def halve(path):
    """Rewrite a file of weights with its kernels as float16; all else, such as normalisation, keeps its precision.

    Args:
        path: Path of the file.

    Raises:
        ValueError: if a kernel exceeds the range of float16.
    """
    half = path.with_name(f"{path.name}.half")

    def copy(name, item):
        if isinstance(item, h5py.Group):
            made = file.require_group(name)
        elif item.ndim < 2:
            made = file.create_dataset(name, data=item[...])
        else:
            with np.errstate(over="ignore"):
                kernel = item[...].astype("float16")
            if not np.isfinite(kernel).all():
                raise ValueError(f"`precision` must be 'float32' for a kernel up to {np.abs(item[...]).max():.3g}.")
            made = file.create_dataset(name, data=kernel)
        made.attrs.update(item.attrs)

    with h5py.File(path, "r") as whole, h5py.File(half, "w") as file:
        file.attrs.update(whole.attrs)
        whole.visititems(copy)
    half.replace(path)


def _walk(path, group, name, depth, seen, found):
    if depth > _MAX_DEPTH:
        _refuse(path, f"groups nest more than {_MAX_DEPTH} levels at {name}")
    _check_attributes(path, group, name)
    for key in group:
        inner = f"{name}/{key}"
        link = group.get(key, getlink=True)
        if not isinstance(link, h5py.HardLink):
            _refuse(path, f"{inner[:80]} is a link, {type(link).__name__}")
        item = group[key]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            _refuse(path, f"{inner[:80]} stands there twice")
        seen.add(address)
        if len(seen) > _MAX_OBJECTS:
            _refuse(path, f"it holds more than {_MAX_OBJECTS} groups and arrays")
        if isinstance(item, h5py.Group):
            _walk(path, item, inner, depth + 1, seen, found)
        elif isinstance(item, h5py.Dataset):
            _check_array(path, item, inner)
            found.append(item.shape)
        else:
            _refuse(path, f"{inner[:80]} is neither a group nor an array")


def _check_array(path, array, name):
    _check_attributes(path, array, name)
    settings = array.id.get_create_plist()
    layout = settings.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        _refuse(path, f"{name} is put together of other files")
    if settings.get_external_count():
        _refuse(path, f"{name} lies in another file")
    if array.shape is None or array.dtype.kind != "f":
        _refuse(path, f"{name} must hold floating-point numbers, not {array.dtype}")
    if layout == h5py.h5d.CHUNKED or settings.get_nfilters():
        _refuse(path, f"{name} must be stored in one piece, not in chunks or compressed")
    if array.id.get_storage_size() != array.size * array.dtype.itemsize:
        _refuse(path, f"{name} claims the shape {array.shape}, and stores {array.id.get_storage_size()} bytes")


def _check_attributes(path, item, name):
    for i in range(h5py.h5a.get_num_attrs(item.id)):
        attribute = h5py.h5a.open(item.id, index=i)
        if i >= 16 or attribute.get_storage_size() > _MAX_ATTRIBUTE:
            _refuse(path, f"{name or '/'} has more or larger attributes than weights need")


def _refuse(path, why, cause=None):
    raise ValueError(f"{path} does not hold the weights of this generator: {why}.") from cause
