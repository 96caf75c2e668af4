import numpy as np
import pytest

from kerasgan3d.training import calibrate

SMALL = {"size": 24, "volumes": 2, "seed": 2**32, "limit": 50.0}


@pytest.mark.parametrize("wanted", [(0.2, 0.3, 0.5), (0.6, 0.3, 0.1)], ids=str)
def test_fractions_reach_the_target(make_generator, wanted):
    generator = make_generator()
    last = generator.convolutions[-1].bias
    start, others = last.numpy().copy(), [(v, v.numpy().copy()) for v in generator.variables if v is not last]
    found = calibrate(generator, wanted, iterations=10, **SMALL)
    before, after = (np.abs(np.array(found[key]) - wanted).max() for key in ("before", "after"))
    assert after < 0.02
    assert after < before / 2
    shift = np.array(found["shift"])
    assert abs(shift.sum()) < 1e-6
    np.testing.assert_allclose(last.numpy(), start + shift, atol=1e-6)
    for variable, value in others:
        np.testing.assert_array_equal(variable.numpy(), value)
    # The fractions foretold, of one voxel in eight, are those of what is sampled now.
    labels = np.stack([generator.sample(24, seed=2**32 + i).labels[::2, ::2, ::2] for i in range(2)])
    np.testing.assert_allclose(np.bincount(labels.ravel(), minlength=3) / labels.size, found["after"], atol=1e-3)


def test_what_is_right_already_gets_no_worse(make_generator):
    generator = make_generator()
    first = calibrate(generator, (0.3, 0.3, 0.4), iterations=8, **SMALL)
    again = calibrate(generator, (0.3, 0.3, 0.4), iterations=1, **SMALL)
    np.testing.assert_allclose(again["before"], first["after"], atol=1e-3)
    wanted = np.array([0.3, 0.3, 0.4])
    assert np.abs(again["after"] - wanted).max() <= np.abs(again["before"] - wanted).max()


def test_shifts_end_where_fractions_are_near_enough(make_generator):
    generator, wanted = make_generator(), np.array([0.2, 0.3, 0.5])
    far = calibrate(generator, wanted, tolerance=1.0, **SMALL)
    assert far["shift"] == [0, 0, 0]
    assert far["after"] == far["before"]
    near = calibrate(make_generator(), wanted, tolerance=0.05, **SMALL)
    exact = calibrate(make_generator(), wanted, **SMALL)
    errors = [np.abs(found - wanted).max() for found in (exact["after"], near["after"], near["before"])]
    assert errors[0] < errors[1] <= 0.05 < errors[2]


def test_a_phase_that_never_occurs_comes_back(make_generator):
    generator = make_generator()
    bias = generator.convolutions[-1].bias
    bias.assign(bias.numpy() + np.array([0, 0, -30], "float32"))
    found = calibrate(generator, (0.4, 0.3, 0.3), iterations=20, **SMALL)
    assert found["before"][2] == 0
    np.testing.assert_allclose(found["after"], (0.4, 0.3, 0.3), atol=0.05)


def test_a_generator_without_output_bias_is_refused(make_generator):
    with pytest.raises(ValueError, match="calibration needs a generator with `output_bias`. Received: one without."):
        calibrate(make_generator(output_bias=False), (0.2, 0.3, 0.5))


def test_shifts_stay_within_the_limit(make_generator):
    generator = make_generator()
    found = calibrate(generator, (0.98, 0.01, 0.01), **{**SMALL, "limit": 0.01})
    assert 0 < np.abs(found["shift"]).max() <= 0.01
    wanted = np.array([0.98, 0.01, 0.01])
    before, after = (np.abs(np.array(found[key]) - wanted).max() for key in ("before", "after"))
    assert after <= before
