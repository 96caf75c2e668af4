"""What the tests share: TensorFlow's settings, made before it is imported, and tiny networks with lived-in weights."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The networks here are tiny: threads cost more than they give, and pytest-xdist already uses the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


def enliven(generator, seed=0):
    """Give a generator weights as after training: no two channels alike, batch normalisation with a past."""
    import numpy as np

    rng = np.random.default_rng(seed)
    for norm in generator.normalizations:
        norm.gamma.assign(rng.uniform(0.5, 1.5, norm.gamma.shape))
        norm.beta.assign(rng.normal(0.0, 0.3, norm.beta.shape))
        norm.moving_mean.assign(rng.normal(0.0, 0.3, norm.moving_mean.shape))
        norm.moving_variance.assign(rng.uniform(0.3, 2.0, norm.moving_variance.shape))
    for convolution in generator.convolutions:
        convolution.kernel.assign(rng.normal(0.0, convolution.kernel.shape[-1] ** -0.5 / 3, convolution.kernel.shape))
        if convolution.bias is not None:
            convolution.bias.assign(rng.normal(0.0, 0.2, convolution.bias.shape))
    return generator


@pytest.fixture(scope="session")
def make_generator():
    """A function that makes a small Generator with lived-in weights; arguments as the class has them."""

    def make(upsampling="resize", *, seed=0, **arguments):
        from kerasgan3d.models import Generator

        small = {"phases": 3, "latent_channels": 5, "widths": (8, 6)}
        return enliven(Generator(upsampling=upsampling, **{**small, **arguments}), seed)

    return make
