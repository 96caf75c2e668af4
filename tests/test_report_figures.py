import numpy as np
import pytest

from kerasgan3d.report import figures, phase_colors

PHASES = ("pore", "NMC", "CBD")


def measure(key="volume_fraction", phase="pore", **given):
    values = {"real": [0.38, 0.4, 0.42], "generated": [0.39, 0.41, 0.43], "real_mean": 0.4, "real_std": 0.02}
    return {"key": key, "phase": phase, "axis": None, "unit": "1", **values, "generated_mean": 0.41, **given}


def correlation(**given):
    mean = np.broadcast_to(np.exp(-np.arange(5.0)), (3, 3, 5))
    side = {"mean": mean.tolist(), "low": (mean - 0.1).tolist(), "high": (mean + 0.1).tolist()}
    return {"lags": list(range(5)), "axes": ["z", "y", "x"], "real": side, "generated": side, **given}


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_slices_are_drawn_voxel_by_voxel_real_above_generated():
    rng = np.random.default_rng(0)
    real, generated = ([rng.integers(0, 3, (6, 8)) for _ in range(count)] for count in (7, 2))
    figure = figures.slice_rows(real, generated, PHASES, 0.5)
    assert len(figure.axes) == 5 + 2
    for axes, labels in zip(figure.axes, real[:5] + generated, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), phase_colors(PHASES)[labels])
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["real", "generated"]
    assert figure.axes[0].get_position().y0 > figure.axes[5].get_position().y1


def test_slices_of_one_side_alone():
    assert len(figures.slice_rows([], [np.zeros((4, 4), int)], PHASES).axes) == 1
    assert figures.slice_rows([], [], PHASES) is None


def test_a_box_per_side_and_a_panel_per_phase():
    figure = figures.box_plots([measure(phase=phase) for phase in PHASES], PHASES)
    assert titles(figure) == list(PHASES)
    for axes in figure.axes:
        assert [label.get_text() for label in axes.get_xticklabels()] == ["real", "generated"]
        real, generated = axes.patches
        assert not real.get_hatch()
        assert generated.get_hatch()
        drawn = [line.get_ydata() for line in axes.lines if line.get_marker() in ("o", "^")]
        np.testing.assert_allclose(drawn, [[0.38, 0.4, 0.42], [0.39, 0.41, 0.43]])


def test_axes_stand_side_by_side_in_a_panel():
    entries = [
        measure("relative_diffusivity", phase, axis=axis) for phase in PHASES for axis in ("z", "y", "x", "mean")
    ]
    figure = figures.box_plots(entries, PHASES)
    assert titles(figure) == list(PHASES)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["z", "y", "x", "mean"]
    assert len(figure.axes[0].patches) == 8


def test_small_differences_do_not_fill_a_panel():
    entry = measure(real=[0.5, 0.5], generated=[0.501, 0.501], real_mean=0.5, generated_mean=0.501)
    low, high = figures.box_plots([entry], PHASES).axes[0].get_ylim()
    assert high - low >= 0.2 * 0.5


@pytest.mark.parametrize("std", [0.02, None])
def test_means_are_drawn_where_values_are_not_known(std):
    figure = figures.box_plots([measure(real=None, real_std=std)], PHASES)
    assert len(figure.axes[0].patches) == 1
    assert figure.axes[0].containers[0].lines[0].get_ydata() == [0.4]


def test_stereology_and_pairs_are_named():
    entries = [measure("interfacial_area", other="NMC", estimated=True)]
    assert titles(figures.box_plots(entries, PHASES))[0].split() == ["pore", "–", "NMC", "(by", "stereology)"]


@pytest.mark.parametrize("count", [1, 2, 5, 15])
def test_there_are_as_many_panels_as_measures(count):
    entries = [measure(phase=str(k)) for k in range(count)]
    assert len(figures.box_plots(entries, PHASES).axes) == count


def test_nothing_to_draw_is_no_figure():
    empty = {"real": None, "generated": [], "real_mean": None, "generated_mean": None}
    assert figures.box_plots([], PHASES) is None
    assert figures.box_plots([measure(**empty)], PHASES) is None
    assert figures.diffusivity_scatter([measure()], PHASES) is None
    assert figures.flux_maps({}, {}) is None
    assert figures.flux_maps({"pore": np.full((4, 4), np.nan)}, {}) is None
    assert figures.nearest_distances({"generated": [], "real": None}) is None
    assert figures.seam_differences({"measures": []}) is None
    assert figures.lattice_profiles({"period": 4}, PHASES) is None
    assert figures.correlation_curves(correlation(real=None, generated=None), PHASES) is None


def test_curves_of_both_sides_and_the_band_of_the_real():
    figure = figures.correlation_curves(correlation(), PHASES, 0.5)
    assert len(figure.axes) == 9
    axes = figure.axes[0]
    assert len(axes.collections) == 1
    solid, *_, dashed = axes.lines
    np.testing.assert_allclose(solid.get_xdata(), 0.5 * np.arange(5))
    np.testing.assert_allclose(dashed.get_ydata(), np.exp(-np.arange(5.0)))
    assert solid.get_linestyle() == "-"
    assert dashed.get_linestyle() != "-"
    assert figure.axes[-1].get_xlabel() == "r (µm)"
    assert figures.correlation_curves(correlation(), PHASES).axes[-1].get_xlabel() == "r (voxels)"


def test_curves_without_a_band():
    mean = correlation()["real"]["mean"]
    figure = figures.correlation_curves(correlation(real={"mean": mean, "low": None, "high": None}), PHASES)
    assert not figure.axes[0].collections
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["real, mean", "generated, mean", "generated, 5th and 95th"]


def test_points_of_the_scatter_are_sub_volumes():
    transport = measure("relative_diffusivity", axis="mean", real=[0.1, None, 0.3], generated=[0.2, 0.2, 0.2])
    axis = measure("relative_diffusivity", axis="z", real=[0.9] * 3, generated=[0.9] * 3)
    figure = figures.diffusivity_scatter([measure(), axis, transport], PHASES)
    assert titles(figure) == ["pore"]
    real, generated = figure.axes[0].collections
    np.testing.assert_allclose(real.get_offsets(), [[0.38, 0.1], [0.42, 0.3]])
    np.testing.assert_allclose(generated.get_offsets(), [[0.39, 0.2], [0.41, 0.2], [0.43, 0.2]])
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), line.get_xdata() ** 1.5)


def test_flux_is_in_units_of_its_mean():
    flux = np.array([[1.0, np.nan], [3.0, 2.0]])
    figure = figures.flux_maps({"pore": flux}, {"pore": 7 * flux})
    real, generated = (axes.images[0].get_array() for axes in figure.axes[:2])
    np.testing.assert_allclose(np.ma.filled(real, np.nan), [[0.5, np.nan], [1.5, 1.0]])
    np.testing.assert_allclose(np.ma.filled(generated, np.nan), np.ma.filled(real, np.nan))


def test_a_phase_that_does_not_percolate_is_said():
    figure = figures.flux_maps({"pore": np.ones((4, 4))}, {"pore": np.full((4, 4), np.nan)})
    assert [text.get_text() for text in figure.axes[1].texts] == ["does not\npercolate"]


def test_distances_begin_at_a_copy():
    figure = figures.nearest_distances({"generated": [0.3, 0.4], "real": [0.35], "measure": "share"})
    axes = figure.axes[0]
    assert axes.get_xlim()[0] == 0
    assert axes.get_xlabel() == "share"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["generated to real", "real to other real"]


def test_seams_are_relative_to_the_interior_with_two_standard_errors():
    row = {"key": "two_point_correlation", "phase": "pore", "axis": "z", "lag": 8}
    rows = [
        {**row, "seam": 0.22, "interior": 0.2, "standard_error": 0.01},
        {**row, "seam": 0.1, "interior": 0.0, "standard_error": 0.01},
    ]
    figure = figures.seam_differences({"measures": rows})
    assert titles(figure) == ["two-point correlation at 8 voxels"]
    (container,) = figure.axes[0].containers
    np.testing.assert_allclose(np.array(container.lines[0].get_xdata(), float), [10])
    np.testing.assert_allclose(np.array(container.lines[2][0].get_segments()[0][:, 0], float), [0, 20], atol=1e-9)


def test_profiles_over_the_stride_are_differences_from_their_mean():
    fractions = np.tile([0.3, 0.3, 0.3, 0.34], (3, 3, 1))
    lattice = {"period": 4, "fractions": fractions.tolist(), "label_change_rates": fractions.tolist()}
    figure = figures.lattice_profiles(lattice, PHASES)
    assert len(figure.axes) == 6
    drawn = [container.lines[0].get_ydata() for container in figure.axes[0].containers]
    np.testing.assert_allclose(drawn, np.tile([-1, -1, -1, 3], (3, 1)), atol=1e-9)


def test_many_phases_with_long_names_stand_below_each_other():
    names = [f"a phase with quite a long name, number {k}" for k in range(6)]
    lattice = {"period": 4, "fractions": np.full((3, 6, 4), 1 / 6).tolist()}
    figure = figures.lattice_profiles(lattice, names)
    assert len({axes.get_position().y0 for axes in figure.axes}) == 6
    lines = figure.axes[0].get_ylabel().split("\n")
    assert 1 < len(lines) <= 3
    assert max(map(len, lines)) <= 26


def test_the_caller_s_settings_do_not_matter():
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "text.usetex": True}):
        figure = figures.box_plots([measure()], PHASES)
    assert figure.axes[0].title.get_fontsize() == 10
