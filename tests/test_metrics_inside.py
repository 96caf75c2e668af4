"""Parts of images: what a mask, boxes and phases leave, against what is cut out or counted by hand."""

import numpy as np
import pytest

from kerasgan3d import Volume, measure
from kerasgan3d.metrics.record import Measurement

NAMES = ("pore", "NMC", "CBD")
BOX = np.s_[1:7, 2:9, 3:8]
LEFT_OUT = {
    "specific_surface_area_marching_cubes",
    "radial_two_point_correlation",
    "euler_characteristic",
    "granulometry",
    "speck_density",
    "hole_density",
}


def labels(shape=(8, 10, 9)):
    return np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8)


def box_mask(shape=(8, 10, 9)):
    mask = np.zeros(shape, bool)
    mask[BOX[-len(shape) :]] = True
    return mask


def core(n=12):
    """A round sample along z, with 0 around phases 1, 2 and 3; and where it is."""
    y, x = np.indices((n, n)) - (n - 1) / 2
    inside = np.broadcast_to(y**2 + x**2 < (n / 2) ** 2, (9, n, n))
    return np.where(inside, labels((9, n, n)) + 1, 0).astype(np.uint8), inside


@pytest.mark.parametrize("options", [{}, {"block": 4, "workers": 1}], ids=["at once", "by blocks"])
def test_a_box_is_measured_as_if_it_were_cut_out(options):
    found = measure(labels(), voxel_size=0.5, mask=box_mask(), max_lag=2, **options)
    expected = measure(labels()[BOX], voxel_size=0.5, phases=3, max_lag=2, **options)
    assert found.excluded == pytest.approx(1 - box_mask().mean())
    for key in found.units:
        value, wanted = getattr(found, key), getattr(expected, key)
        # What percolates or conducts goes from end to end of the whole; a box within it touches neither.
        if key in LEFT_OUT:
            assert value is None
        elif wanted is not None and key in (
            *("volume_fraction", "interfacial_area", "specific_surface_area", "mean_chord_length"),
            *("triple_phase_boundary_density", "two_point_correlation"),
        ):
            np.testing.assert_allclose(value, wanted, rtol=1e-12, err_msg=key)


def test_slices_have_parts_too():
    found = measure(labels()[0], voxel_size=0.5, mask=box_mask()[1], max_lag=2)
    expected = measure(labels()[0][BOX[1:]], voxel_size=0.5, phases=3, max_lag=2)
    for key in found.stereology:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-12, err_msg=key)
    assert {"volume_fraction", "triple_phase_boundary_density"} <= set(found.stereology)


@pytest.mark.parametrize(
    "given",
    [
        {"mask": core()[1]},
        {"mask": core()[1][0].astype(np.uint8) * 255},
        {"exclude": [0]},
        {"exclude": ["outside"]},
        {"exclude": "outside"},
    ],
    ids=["mask", "mask of a slice", "label", "name", "only name"],
)
def test_a_round_core_is_measured_without_what_lies_around_it(given):
    image, inside = core()
    volume = Volume(image, ("outside", *NAMES), 0.5)
    found = measure(volume, **given)
    if "exclude" in given:
        assert found.phases == NAMES
    shares = np.bincount(image[inside], minlength=4)[1:] / inside.sum()
    np.testing.assert_allclose(found.volume_fraction[-3:], shares, rtol=1e-12)
    assert found.excluded == pytest.approx(1 - inside.mean())
    assert np.isnan(found.relative_diffusivity[:, 1:]).all()
    assert "% of it left out" in str(found)
    again = Measurement.from_dict(found.to_dict())
    assert again.to_dict() == found.to_dict()


def test_a_core_of_one_phase_conducts_as_free_space():
    _, inside = core()
    found = measure(inside.astype(np.uint8), voxel_size=1, exclude=[0])
    np.testing.assert_allclose(found.relative_diffusivity[0, 0], 1, rtol=1e-3)
    np.testing.assert_allclose(found.tortuosity_factor[0, 0], 1, rtol=1e-3)
    assert found.volume_fraction.tolist() == [1]
    assert found.specific_surface_area.tolist() == [0]
    assert found.triple_phase_boundary_density is None


def test_boxes_are_left_out():
    mask = ~box_mask()
    given = {"voxel_size": 1, "transport": False}
    found = measure(labels(), exclude=[[(1, 7), (2, 9), (3, 8)]], **given)
    assert found.to_dict() == measure(labels(), mask=mask, **given).to_dict()


def test_all_of_it_is_all_of_it():
    found, whole = (measure(labels(), voxel_size=1, **given) for given in ({"mask": np.ones((8, 10, 9))}, {}))
    for key in set(found.units) - LEFT_OUT - {"excluded"}:
        np.testing.assert_allclose(getattr(found, key), getattr(whole, key), rtol=1e-6, err_msg=key)
    assert found.excluded == 0


@pytest.mark.parametrize("options", [{}, {"block": 4, "workers": 1}, {"mask": box_mask()}], ids=str)
def test_without_a_voxel_size_what_has_no_unit_is_measured(options):
    found, known = (measure(labels(), voxel_size=size, **options) for size in (None, 0.5))
    for key, unit in known.units.items():
        if key not in ("voxel_size", "excluded"):
            np.testing.assert_array_equal(found[key], None if unit != "1" else known[key], err_msg=key)
    assert "of unknown size" in repr(found)
    assert "of unknown size" in str(found)
    assert "2 voxels" in str(found)
    assert Measurement.from_dict(found.to_dict()).to_dict() == found.to_dict()
    with pytest.raises(ValueError, match="distances in µm need `voxel_size=`"):
        _ = found.distances


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"mask": np.ones((3, 3, 3))},
            "`mask` must have the shape of what is measured, 8 x 10 x 9. Received: 3 x 3 x 3",
        ),
        ({"mask": np.zeros((8, 10, 9))}, "leave something to measure"),
        ({"exclude": ["glue"]}, "`exclude` must name phases, phase 0, phase 1, phase 2, or boxes. Received: 'glue'"),
        ({"exclude": [3]}, "must name phases.* Received: 3"),
        ({"exclude": [0, 1, 2]}, "must leave 1 to 254 phases. Received: 0 of 3"),
        ({"exclude": [[(0, 99), None, None]]}, "a box must be one .* within the data's 8 x 10 x 9 voxels"),
        ({"mask": box_mask(), "transport": "phase 9"}, "`transport` must be a bool, or phases"),
    ],
)
def test_other_parts_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        measure(labels(), voxel_size=1, **given)
