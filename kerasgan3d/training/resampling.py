"""The nearest label, for images of training data: see `kerasgan3d.io.resampling`."""

from kerasgan3d.io.resampling import resampled, resampled_range

__all__ = ["resampled", "resampled_range"]
