"""Networks: the generator, and the critics that train it."""

from kerasgan3d.models.generator import PRESETS, Generator
from kerasgan3d.models.slice_discriminator import SliceDiscriminator
from kerasgan3d.models.volume_discriminator import VolumeDiscriminator

__all__ = ["PRESETS", "Generator", "SliceDiscriminator", "VolumeDiscriminator"]
