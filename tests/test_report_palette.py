import numpy as np
import pytest

from kerasgan3d.report import phase_colors


def luminance(colors):
    """Relative luminance of sRGB colours (WCAG 2, section 1.4.3)."""
    linear = np.where(colors / 255 <= 0.04045, colors / 255 / 12.92, ((colors / 255 + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("n", [1, 2, 3, 9, 30, 255])
def test_every_phase_has_its_own_colour(n):
    colors = phase_colors([f"phase {index}" for index in range(n)])
    assert colors.shape == (n, 3)
    assert colors.dtype == np.uint8
    assert len(np.unique(colors, axis=0)) == n


def test_three_phases_differ_in_lightness_from_dark_to_light():
    dark, middle, light = luminance(phase_colors(("pore", "NMC", "CBD")))
    # A contrast of 2 keeps the phases apart in grey and for every kind of colour blindness.
    assert (middle + 0.05) / (dark + 0.05) > 2
    assert (light + 0.05) / (middle + 0.05) > 2


@pytest.mark.parametrize(
    "phases", [("pore", "Ni", "YSZ"), ("Ni", "pore", "YSZ"), ("Ni", "YSZ", "Electrolyte"), ("A", "B", "C")]
)
def test_pore_space_is_darkest_wherever_it_stands(phases):
    pore = next((index for index, name in enumerate(phases) if name in ("pore", "Electrolyte")), 0)
    assert np.argmin(luminance(phase_colors(phases))) == pore


def test_the_solids_keep_their_colours_wherever_the_pores_stand():
    first, last = phase_colors(("pore", "Ni", "YSZ")), phase_colors(("Ni", "YSZ", "pore"))
    np.testing.assert_array_equal(first[[1, 2, 0]], last)


def test_colours_can_be_given_by_order_or_by_name():
    np.testing.assert_array_equal(phase_colors(("a", "b"), ["black", "#ff8000"]), [[0, 0, 0], [255, 128, 0]])
    some = phase_colors(("a", "b"), {"b": "white"})
    np.testing.assert_array_equal(some, [phase_colors(("a", "b"))[0], [255, 255, 255]])


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        (["black"], "one colour for each of the 2 phases"),
        ("black", "one colour for each of the 2 phases"),
        (["black", "no-such-colour"], "Received: 'no-such-colour'"),
        ({"c": "black"}, r"must name phases of the volume \(a, b\). Received: 'c'"),
    ],
    ids=["too few", "one text", "unknown colour", "unknown phase"],
)
def test_wrong_colours_are_refused(colors, message):
    with pytest.raises(ValueError, match=message):
        phase_colors(("a", "b"), colors)


@pytest.mark.parametrize("n", [0, 256])
def test_wrong_numbers_of_phases_are_refused(n):
    with pytest.raises(ValueError, match=f"1 to 255 names. Received: {n}"):
        phase_colors([str(index) for index in range(n)])
