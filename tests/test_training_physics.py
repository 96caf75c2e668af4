import keras
import numpy as np
import pytest
from keras import ops

from kerasgan3d.data import Symmetry
from kerasgan3d.metrics import specific_surface_area, two_point_correlation
from kerasgan3d.training import physics

LAGS = (1, 2, 5)


def hard(labels, phases):
    """Probabilities of 0 and 1: (1, z, y, x, phases)."""
    return np.eye(phases, dtype="float32")[labels][None]


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 3, (8, 9, 10)).astype("uint8")


def sections(probabilities):
    """All slices of volumes normal to each axis, and the axes of their rows and columns."""
    slices = [
        np.moveaxis(probabilities, n + 1, 1).reshape(-1, *np.delete(probabilities.shape[1:], n)) for n in range(3)
    ]
    return slices, [(1, 2), (0, 2), (0, 1)]


def soft(labels, phases, terms, **options):
    """Statistics of labels as those of generated volumes are computed."""
    return physics.soft_statistics(*sections(hard(labels, phases)), terms, **options)


def test_hard_probabilities_have_the_statistics_of_their_labels(labels):
    wanted = physics.statistics(labels, 3, Symmetry("orthotropic"), lags=LAGS)
    found = soft(labels, 3, ("fraction", "s2", "diagonal", "surface", "tpb"), lags=LAGS)
    assert set(found) == {"fraction", "s2", "diagonal", "surface", "tpb"}
    # Data may be flipped: there both diagonals have their mean.
    found["diagonal"] = np.mean(found["diagonal"], axis=2, keepdims=True).repeat(2, 2)
    for key, values in found.items():
        np.testing.assert_allclose(values, wanted["fractions" if key == "fraction" else key], rtol=1e-5)


def test_sharper_probabilities_are_nearer_to_their_labels():
    found = np.array(physics.sharpen(np.array([[0.3, 0.3, 0.4], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], "float32")))
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(found[0], np.array([3.0, 3.0, 4.0]) ** 8 / (2 * 3.0**8 + 4.0**8), rtol=1e-5)
    np.testing.assert_allclose(found[1:], [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    even = np.full((1, 255), 1 / 255, "float32")
    np.testing.assert_allclose(physics.sharpen(even), even, rtol=1e-5)


@pytest.mark.parametrize("phases", [2, 3, 4, 5])
def test_triple_points_of_hard_probabilities_are_counted(phases):
    image = np.random.default_rng(phases).integers(0, phases, (6, 7)).astype("uint8")
    corners = [set(image[i : i + 2, j : j + 2].ravel()) for i in range(5) for j in range(6)]
    share = np.mean([len(corner) >= 3 for corner in corners])
    assert float(physics.soft_triple_points(hard(image[None], phases)[0])) == pytest.approx(share, abs=1e-6)
    assert physics.triple_points(image, (0, 1), phases) == pytest.approx(share)


def test_triple_points_of_soft_probabilities_are_those_expected():
    p = np.random.default_rng(0).dirichlet(np.ones(4), (2, 2))
    expected = 0.0
    for labels in np.ndindex(4, 4, 4, 4):
        if len(set(labels)) >= 3:
            expected += np.prod([p[i // 2, i % 2, label] for i, label in enumerate(labels)])
    assert float(physics.soft_triple_points(p[None].astype("float32"))) == pytest.approx(expected, abs=1e-5)


def test_what_leans_shows_along_one_diagonal():
    y, x = np.indices((12, 12))
    leaning = ((x - y) // 2 % 2).astype("uint8")  # stripes that go down as they go right
    slices = hard(leaning[None], 2)[0]
    found = np.array(physics.soft_diagonals(slices, (2, 4)))
    np.testing.assert_allclose(found.sum(0), [[1, 1], [1, 1]])
    found = np.array(physics.soft_diagonals(slices, (1, 3)))
    np.testing.assert_allclose(found.sum(0), [[1, 1], [0, 0]], atol=1e-6)
    wanted = physics.statistics(leaning, 2, Symmetry(), lags=(1, 3))["diagonal"]
    np.testing.assert_allclose(wanted.sum(0), 0.5)


def test_the_spread_is_the_variance_of_area_fractions(labels):
    shares = np.array([np.bincount(part.ravel(), minlength=3) / part.size for part in labels])
    found = soft(labels, 3, ("spread",), fractions=shares.mean(0).tolist())["spread"]
    np.testing.assert_allclose(found[:, 0], shares.var(0), rtol=1e-4)
    wanted = physics.spread([labels, labels[:2]], 3, Symmetry("axial", 1))
    np.testing.assert_allclose(wanted[:, 1], shares.var(0))
    np.testing.assert_allclose(wanted[:, [0, 2]], shares[:2].var(0)[:, None].repeat(2, 1))


def test_the_spread_of_volumes_is_that_of_the_measures():
    volumes = np.random.default_rng(0).integers(0, 3, (5, 4, 4, 8)).astype("uint8").repeat(2, 1).repeat(2, 2)
    shares = [np.bincount(volume.ravel(), minlength=3) / volume.size for volume in volumes]
    areas = [specific_surface_area(volume, voxel_size=1, n_phases=3) for volume in volumes]
    wanted = physics.volume_spread(volumes, 3)
    np.testing.assert_allclose(wanted[:, 0], np.var(shares, axis=0))
    # The measure counts faces of all three axes per voxel, of which there are 8 where there are 7 pairs.
    np.testing.assert_allclose(wanted[:, 1], np.var(areas, axis=0) / (3 * 7 / 8) ** 2)
    means = np.mean(shares, axis=0), np.mean([[physics.changes(v, i, 3) for i in range(3)] for v in volumes], (0, 1))
    found = physics.soft_volume_spread(np.eye(3, dtype="float32")[volumes], *means)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("length", [15, 16, 63])
def test_a_place_within_the_stride_that_does_not_occur_does_not_deviate(length):
    slices = np.random.default_rng(0).dirichlet(np.ones(2), (4, length, length)).astype("float32")
    found = np.array(physics.soft_lattice(slices, 1, 16))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, :, length:].sum(), 0, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.9])
@pytest.mark.parametrize("term", [term for term in physics.TERMS if term not in ("diffusivity", "volume_spread")])
def test_every_term_has_a_gradient_on_this_backend(term, decay):
    fractions = [0.2, 0.3, 0.5]
    targets = {"fractions": fractions, "s2": np.full((3, 3, 2), 0.1), "surface": np.full((3, 3), 0.2)}
    targets |= {"diagonal": np.full((3, 3, 2, 2), 0.1), "tpb": np.full(3, 0.1), "spread": np.full((3, 3), 0.01)}
    p = np.random.default_rng(0).dirichlet(np.ones(3), (2, 8, 8, 8)).astype("float32")

    def loss(probabilities):
        axes = [(1, 2), (0, 2), (0, 1)]
        parts = [ops.reshape(ops.moveaxis(probabilities, n + 1, 1), (-1, 8, 8, 3)) for n in range(3)]
        found = physics.soft_statistics(parts, axes, (term,), lags=(1, 3), fractions=fractions, stride=4)[term]
        target = np.zeros(found.shape) if term == "lattice" else targets["fractions" if term == "fraction" else term]
        pull = physics.Pull(target, physics.scales(targets, {term: tuple(found.shape)})[term], decay)
        pull.error(found)
        return pull.error(found)[0]

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.Variable(p)
        with tf.GradientTape() as tape:
            value = loss(tf.convert_to_tensor(x))
        slope = tape.gradient(value, x).numpy()
    else:
        import torch

        x = torch.tensor(p, requires_grad=True)
        slope = torch.autograd.grad(loss(x), x)[0].numpy()
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0


def test_a_phase_that_is_nowhere_likely_has_a_slope_towards_its_fraction():
    p = keras.ops.convert_to_tensor(np.tile([0.99, 0.01], (1, 4, 4, 1)).astype("float32"))
    assert float(physics.soft_fractions([p])[1]) < 1e-6
    values = [float(physics.soft_fractions([p + keras.ops.convert_to_tensor([-d, d])])[1]) for d in (0.0, 0.001)]
    assert values[1] - values[0] < 1e-6  # the value is that of labels


def test_the_lattice_is_what_depends_on_the_place_within_the_stride():
    rng = np.random.default_rng(0)
    even = rng.integers(0, 2, (64, 64, 64)).astype("uint8")
    marked = even.copy()
    marked[:, 3::16] = 1
    flat, lattice = (np.array(soft(x, 2, ("lattice",), stride=16)["lattice"]) for x in (even, marked))
    assert flat.shape == (2, 2, 3, 16)
    np.testing.assert_allclose(flat.mean(-1), 0, atol=1e-6)
    assert np.abs(flat).max() < 0.02  # its noise is 0.004
    # Phase 1 is always there at one of sixteen places along y, and there are more faces on both its sides.
    np.testing.assert_allclose(lattice[0, 1, 1, 3], 0.5 * 15 / 16, atol=0.01)
    assert np.abs(np.delete(lattice[0], 1, axis=1)).max() < 0.04
    assert np.abs(np.delete(lattice[:, :, 1], 3, axis=-1)).max() < 0.05


def test_a_pull_without_a_running_mean_is_the_squared_error():
    pull = physics.Pull([[1.0, 2.0], [0.0, 0.0]], [[1.0, 1.0], [2.0, 2.0]])
    term, error = pull.error(keras.ops.convert_to_tensor([[2.0, 2.0], [2.0, 0.0]]))
    assert pull.running is None
    assert float(term) == float(error) == pytest.approx(0.5 + 0.5)


def test_a_running_mean_begins_at_the_target_and_follows():
    pull = physics.Pull([2.0], [1.0], decay=0.75)
    terms = [pull.error(keras.ops.convert_to_tensor([6.0])) for _ in range(2)]
    assert [float(error) for _, error in terms] == pytest.approx([0.0, 1.0])
    assert float(pull.running.value[0]) == pytest.approx(2 + 1 + 0.25 * 3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes a gradient in TensorFlow")
@pytest.mark.parametrize("limit", [0.2, 0.3])
def test_with_a_running_mean_a_batch_is_pulled_by_the_error_of_those_before(limit):
    import tensorflow as tf

    pull = physics.Pull([2.0], [10.0], decay=0.5, limit=limit)
    found = tf.Variable([4.0])
    slopes = []
    for _ in range(4):
        with tf.GradientTape() as tape:
            term, _ = pull.error(found)
        slopes.append(float(tape.gradient(term, found)[0]))
        found.assign([4.0 if len(slopes) < 3 else 40.0])
    # Twice the residual over the scale, 10; the residuals were 0, 1, 1.5 and 1.75 tenths.
    assert slopes == pytest.approx([0.0, 0.02, 0.03, 0.035])
    with tf.GradientTape() as tape:
        term, error = pull.error(found)
    assert float(error) > 1
    assert float(tape.gradient(term, found)[0]) == pytest.approx(2 * limit / 10)


def test_residuals_are_in_units_of_the_data():
    targets = {"fractions": [0.2, 0.8], "surface": [[0.1, 0.3, 0.2]] * 2, "tpb": [0.0, 0.0, 0.0]}
    shapes = {"fraction": (2,), "s2": (2, 3, 1), "surface": (2, 3), "tpb": (3,), "lattice": (2, 2, 3, 4)}
    shapes |= {"diagonal": (2, 3, 2, 1)}
    found = physics.scales(targets, shapes)
    assert {name: part.shape for name, part in found.items()} == shapes
    np.testing.assert_allclose(found["fraction"], 1)
    np.testing.assert_allclose(found["s2"][..., 0], [[0.2] * 3, [0.8] * 3])
    np.testing.assert_allclose(found["diagonal"][:, 0, 0, 0], [0.2, 0.8])
    np.testing.assert_allclose(found["surface"], 0.2, rtol=1e-6)
    np.testing.assert_allclose(found["lattice"][0, :, 0, 0], [0.2, 0.8])
    np.testing.assert_allclose(found["lattice"][1], 0.2, rtol=1e-6)
    assert (found["tpb"] > 0).all()


def test_they_are_those_of_the_measures(labels):
    wanted = physics.statistics(labels, 3, Symmetry("orthotropic"), lags=LAGS)
    correlation = two_point_correlation(labels, max(LAGS), periodic=False, n_phases=3)
    np.testing.assert_allclose(wanted["s2"], correlation[..., list(LAGS)], rtol=1e-6)
    for normal, k in ((0, 1), (1, 5), (2, 2)):
        slices = np.moveaxis(labels, normal, 0)
        pairs = [(slices[:, :-k, :-k], slices[:, k:, k:]), (slices[:, :-k, k:], slices[:, k:, :-k])]
        shares = [np.mean([np.mean((a == phase) & (b == phase)) for a, b in pairs]) for phase in range(3)]
        np.testing.assert_allclose(wanted["diagonal"][:, normal, :, LAGS.index(k)], np.transpose([shares] * 2))
    cube = labels[:8, :8, :8]
    # By faces, 1/µm at 1 µm: each axis adds its share of faces.
    area = specific_surface_area(cube, voxel_size=1.0, n_phases=3, periodic=False)
    surface = physics.statistics(cube, 3, Symmetry())["surface"]
    np.testing.assert_allclose(surface.sum(1), area, rtol=0.15)


def test_layers():
    slabs = (np.arange(8) // 2 % 2).astype("uint8")[:, None, None].repeat(6, 1).repeat(6, 2)
    found = physics.statistics(slabs, 2, Symmetry("axial", 0), lags=(2, 4))
    np.testing.assert_allclose(found["fractions"], [0.5, 0.5])
    np.testing.assert_allclose(found["surface"], [[3 / 7, 0, 0]] * 2)
    np.testing.assert_allclose(found["s2"][:, 0], [[0, 0.5]] * 2)
    np.testing.assert_allclose(found["s2"][:, 1:], 0.5)


def test_directions_that_are_alike_share_their_mean(labels):
    apart = physics.statistics(labels, 3, Symmetry("orthotropic"), lags=LAGS)
    axial = physics.statistics(labels, 3, Symmetry("axial", 1), lags=LAGS)
    np.testing.assert_allclose(axial["tpb"], [apart["tpb"][[0, 2]].mean(), apart["tpb"][1], axial["tpb"][0]])
    for key in ("s2", "diagonal", "surface"):
        np.testing.assert_allclose(axial[key][:, 1], apart[key][:, 1])
        np.testing.assert_allclose(axial[key][:, 0], apart[key][:, [0, 2]].mean(1))
        np.testing.assert_allclose(axial[key][:, 0], axial[key][:, 2])
        everywhere = physics.statistics(labels, 3, Symmetry(), lags=LAGS)[key]
        np.testing.assert_allclose(everywhere, apart[key].mean(1, keepdims=True).repeat(3, 1))


def test_one_slice_stands_for_three_directions():
    image = np.random.default_rng(0).integers(0, 2, (20, 30)).astype("uint8")
    found = physics.statistics(image, 2, Symmetry(), lags=LAGS)
    assert (found["s2"].shape, found["surface"].shape) == ((2, 3, 3), (2, 3))
    changes = np.mean([np.mean(image[1:] != image[:-1]), np.mean(image[:, 1:] != image[:, :-1])])
    np.testing.assert_allclose(found["surface"], changes)
    assert (found["tpb"].shape, found["diagonal"].shape) == ((3,), (2, 3, 2, 3))


def test_what_is_excluded_counts_for_nothing(labels):
    excluded = np.zeros(labels.shape, bool)
    excluded[5:] = True
    spoilt = np.where(excluded, 0, labels)
    part = physics.statistics(spoilt, 3, Symmetry("orthotropic"), lags=(1, 2), excluded=excluded)
    whole = physics.statistics(labels[:5], 3, Symmetry("orthotropic"), lags=(1, 2))
    for key in whole:
        np.testing.assert_allclose(part[key], whole[key])


def test_a_blurred_boundary_has_the_area_of_a_sharp_one():
    sharp, blurred = np.zeros((1, 8, 3, 2), "float32"), np.zeros((1, 8, 3, 2), "float32")
    sharp[:, 4:, :, 0] = 1
    blurred[..., 0] = np.clip((np.arange(8) - 1) / 5, 0, 1)[:, None]
    for p in (sharp, blurred):
        p[..., 1] = 1 - p[..., 0]
    np.testing.assert_allclose(physics.soft_surface(blurred, 1), physics.soft_surface(sharp, 1), rtol=1e-5)


def test_a_lag_beyond_the_data_is_refused(labels):
    with pytest.raises(ValueError, match="`s2_lags` must be smaller than the data, 8 x 9 x 10 voxels. Received: 8"):
        physics.statistics(labels, 3, Symmetry(), lags=(8,))
    with pytest.raises(ValueError, match="`s2_lags` must be smaller than the data, 8 x 9 x 10 voxels. Received: 9"):
        physics.diagonals(labels, (1, 2), 9, 3)


def test_diffusivities_are_in_units_of_what_a_well_mixed_medium_conducts():
    found = physics.scales({"fractions": [0.25, 0.75]}, {"diffusivity": (2, 3)})["diffusivity"]
    np.testing.assert_allclose(found, np.array([[0.125] * 3, [0.75**1.5] * 3]), rtol=1e-6)


def test_how_much_volumes_vary_is_in_units_of_the_data():
    targets = {"fractions": [0.2, 0.8], "surface": np.full((2, 3), 0.1), "volume_spread": [[0.01, 0], [0, 1e-4]]}
    found = physics.scales(targets, {"volume_spread": (2, 2)})["volume_spread"]
    np.testing.assert_allclose(found, [[0.01, 1e-6], [6.4e-5, 1e-4]], rtol=1e-6)
