import keras
import numpy as np
import pytest

from kerasgan3d.data import SamplerPair, SliceSampler, Symmetry, VolumeSampler
from kerasgan3d.models import Generator, SliceDiscriminator, VolumeDiscriminator
from kerasgan3d.training import GAN3D, physics

CROP = 16
KINDS = {
    "isotropic slices": (Symmetry(), False, {}),
    "axial slices": (Symmetry("axial", 1), False, {}),
    "orthotropic slices": (Symmetry("orthotropic"), False, {"phases": 2}),
    "one slice, two phases": (Symmetry(), False, {"phases": 2, "flat": True}),
    "volumes": (Symmetry(), True, {}),
    "volumes, two phases": (Symmetry("axial", 0), True, {"phases": 2, "normalization": "batch"}),
}
kinds = pytest.mark.parametrize("kind", KINDS)
SETTINGS = {"r1": 0.5, "r1_every": 2, "softening": 0.02, "fraction_weight": 20.0, "average_decay": 0.9}


def noise(phases=3, flat=False):
    return np.random.default_rng(0).integers(0, phases, (20,) * (2 if flat else 3)).astype("uint8")


def network(kind, seed=0, **settings):
    """A GAN with tiny networks, compiled, and the sampler of its data."""
    symmetry, volumetric, options = KINDS[kind]
    options = dict(options)
    phases, labels = options.get("phases", 3), noise(options.pop("phases", 3), options.pop("flat", False))
    keras.utils.set_random_seed(seed)
    generator = Generator(phases, 3, (6, 4))
    if volumetric:
        critics = VolumeDiscriminator(phases, (4, 5), **options)
        sampler = VolumeSampler(labels, CROP, 2, symmetry)
    else:
        critics = [SliceDiscriminator(phases, (4, 5)) for _ in symmetry.groups]
        sampler = SliceSampler(labels, CROP, [4 * len(group) for group in symmetry.groups], symmetry)
    gan = GAN3D(generator, critics, symmetry=symmetry, crop=CROP, slices=2, seed=seed)
    gan.compile(
        keras.optimizers.Adam(1e-3, 0.0, 0.99),
        keras.optimizers.Adam(2e-3, 0.0, 0.99),
        **{**SETTINGS, "targets": {"fractions": [1 / phases] * phases}, **settings},
    )
    return gan, sampler


def steps(gan, sampler, first, count):
    """Take steps outside of ``fit``; returns the last report."""
    for step in range(first, first + count):
        report = gan.train_step(gan.feed(sampler).batch(step))
    return {name: float(value) for name, value in report.items()}


def values(variables):
    return [v.numpy().copy() for v in variables]


def moved(before, variables):
    return [bool(np.any(a != v.numpy())) for a, v in zip(before, variables, strict=True)]


@pytest.fixture(scope="module", params=KINDS)
def trained(request):
    """A GAN before and after ``fit`` of three steps."""
    gan, sampler = network(request.param)
    before = {
        "generator": values(gan.generator.trainable_variables),
        "critics": values(gan.critic_variables),
        "average": values(gan.average.trainable_variables),
    }
    history = gan.fit(gan.batches(sampler), steps_per_epoch=3, epochs=1, shuffle=False, verbose=0).history
    return gan, before, history


def test_fit_takes_steps(trained):
    gan, before, history = trained
    assert set(history) == {"critic_loss", "generator_loss", "real", "fake", "r1", "fraction_error"}
    assert all(np.isfinite(value).all() for value in history.values())
    assert history["r1"][0] > 0
    assert all(np.isfinite(v.numpy()).all() for _, v in gan.state())
    assert all(moved(before["generator"], gan.generator.trainable_variables))
    assert all(moved(before["average"], gan.average.trainable_variables))
    # A bias of a critic's last layer is a constant that real and generated data share, yet it learns like the others.
    assert all(moved(before["critics"], gan.critic_variables))


def test_a_trained_gan_samples(trained):
    gan, _, _ = trained
    volume = gan.average.sample(9, seed=0)
    assert volume.shape == (9, 9, 9)
    assert set(np.unique(volume.labels)) <= set(range(len(gan.generator.phases)))


@kinds
def test_critics_see_what_they_expect(kind):
    gan, sampler = network(kind)
    step = gan.feed(sampler).batch(0)
    volumes = gan.generate(step["latents"][0])
    assert volumes.shape == (2, CROP, CROP, CROP, len(gan.generator.phases))
    for fake, real in zip(gan.views(volumes, step["picks"][0]), sampler.batch(0), strict=True):
        assert tuple(fake.shape) == (*real.shape, len(gan.generator.phases))


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("symmetry", [Symmetry("axial", 0), Symmetry("axial", 2), Symmetry("orthotropic")], ids=str)
def test_generated_slices_lie_as_the_real_ones_do(axis, symmetry):
    # Layers along an axis: real slices (without flips) and generated ones must show them in the same direction.
    critics = [SliceDiscriminator(2, (4,)) for _ in symmetry.groups]
    gan = GAN3D(Generator(2, 3, (4, 4)), critics, symmetry=symmetry, crop=CROP, slices=2)
    labels = (np.indices((CROP,) * 3)[axis] % 2).astype("uint8")
    volumes = np.stack([labels == 0, labels == 1], -1)[None].astype("float32")
    sampler = SliceSampler(labels, CROP, [20] * len(symmetry.groups), symmetry)

    def directions(slices):
        """Whether layers are normal to the slice (no change), to its rows or to its columns."""
        return {
            (bool(np.diff(s.astype(int), axis=0).any()), bool(np.diff(s.astype(int), axis=1).any())) for s in slices
        }

    picks = np.array([[3, 8]] * 3)
    for fake, real in zip(gan.views(keras.ops.convert_to_tensor(volumes), picks), sampler.batch(0), strict=True):
        found = directions(np.array(fake)[..., 1])
        # Where rows and columns are alike, real slices are transposed at random.
        assert found <= directions(real)
        assert {tuple(sorted(d)) for d in directions(real)} == {tuple(sorted(d)) for d in found}


def test_softened_labels_are_one_hot_and_sum_to_one():
    gan, _ = network("isotropic slices")
    soft = np.array(gan.soften(np.array([[0, 2]], "uint8")))
    np.testing.assert_allclose(soft, [[[0.96, 0.02, 0.02], [0.02, 0.02, 0.96]]], atol=1e-7)


def test_each_player_is_moved_by_its_own_optimizer():
    gan, sampler = network("isotropic slices")
    gan.generator_optimizer.learning_rate = 0.0
    before = values(gan.generator.trainable_variables), values(gan.critic_variables)
    steps(gan, sampler, 0, 1)
    assert not any(moved(before[0], gan.generator.trainable_variables))
    assert all(moved(before[1], gan.critic_variables))

    gan, sampler = network("isotropic slices")
    gan.critic_optimizer.learning_rate = 0.0
    before = values(gan.generator.trainable_variables), values(gan.critic_variables)
    steps(gan, sampler, 0, 1)
    assert all(moved(before[0], gan.generator.trainable_variables))
    assert not any(moved(before[1], gan.critic_variables))


@pytest.mark.parametrize("updates", [1, 2, 3])
def test_the_critics_are_updated_as_often_as_asked(updates):
    gan, sampler = network("volumes", critic_updates=updates)
    steps(gan, sampler, 0, 2)
    assert int(gan.generator_optimizer.iterations) == 2
    assert int(gan.critic_optimizer.iterations) == 2 * updates


@pytest.mark.parametrize("updates", [1, 2, 3])
def test_the_generator_is_updated_as_often_as_asked(updates):
    gan, sampler = network("volumes", generator_updates=updates)
    steps(gan, sampler, 0, 2)
    assert int(gan.generator_optimizer.iterations) == 2 * updates
    assert int(gan.critic_optimizer.iterations) == 2


def test_without_weight_critics_are_neither_asked_nor_trained():
    gan, sampler = network("axial slices", critic_weight=0.0, targets=TARGETS, surface_weight=1.0)
    critics, generator = values(gan.critic_variables), values(gan.generator.trainable_variables)
    report = steps(gan, sampler, 0, 2)
    assert not any(moved(critics, gan.critic_variables))
    assert any(moved(generator, gan.generator.trainable_variables))
    assert int(gan.critic_optimizer.iterations) == 0
    assert report["critic_loss"] == report["generator_loss"] == 0
    assert report["soft_surface_error"] > 0


def test_half_their_weight_is_half_their_loss():
    losses = []
    for weight in (1.0, 0.5):
        gan, sampler = network("volumes", critic_weight=weight, targets=None, fraction_weight=0.0)
        data = keras.tree.map_structure(keras.ops.convert_to_tensor, gan.feed(sampler).batch(0))
        volumes = gan.generate(data["latents"][0])
        total, found = gan.generators_loss(volumes, gan.views(volumes, data["picks"][0]))
        losses.append(float(total))
        assert float(found["generator_loss"]) == pytest.approx(losses[0], rel=1e-5)
    assert losses[1] == pytest.approx(losses[0] / 2, rel=1e-5)


def test_only_the_first_layers_learn_where_they_are_told_to():
    gan, sampler = network("isotropic slices")
    steps(gan, sampler, 0, 2)
    gan.take_average()
    for a, b in zip(gan.generator.get_weights(), gan.average.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    gan.learning_layers = 1
    generator = gan.generator
    first = [*generator.convolutions[0].trainable_variables, *generator.normalizations[0].trainable_variables]
    assert [id(v) for v in gan.learning_variables] == [id(v) for v in first]
    others = [v for v in generator.trainable_variables if not any(v is w for w in first)]
    before, rest = values(first), values(others)
    steps(gan, sampler, 2, 1)
    assert all(moved(before, first))
    assert not any(moved(rest, others))
    gan.learning_layers = None
    steps(gan, sampler, 3, 1)
    assert all(moved(rest, others))


def test_the_average_follows():
    gan, sampler = network("isotropic slices", average_decay=0.5)
    before = values(gan.average.variables)
    np.testing.assert_array_equal(before[0], gan.generator.variables[0].numpy())
    steps(gan, sampler, 0, 1)
    decay = min(0.5, (1 + 1) / (10 + 1))
    for old, mean, value in zip(before, gan.average.variables, gan.generator.variables, strict=True):
        if "float" in str(value.dtype):
            np.testing.assert_allclose(mean.numpy(), decay * old + (1 - decay) * value.numpy(), atol=1e-6)


def test_an_average_with_no_memory_is_the_generator():
    gan, sampler = network("isotropic slices", average_decay=0.0)
    steps(gan, sampler, 0, 1)
    for mean, value in zip(gan.average.get_weights(), gan.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(mean, value)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_the_penalty_is_due_every_so_many_steps(every):
    gan, sampler = network("isotropic slices", r1_every=every)
    penalties = []
    for step in range(2 * every):
        for tracker in gan.metrics:
            tracker.reset_state()
        penalties.append(steps(gan, sampler, step, 1)["r1"])
    assert [penalty > 0 for penalty in penalties] == ([True] + [False] * (every - 1)) * 2


def test_the_penalty_is_the_squared_gradient():
    # A critic that is linear in its input: D = mean over positions of w . x, gradient w / positions.
    gan, sampler = network("isotropic slices", r1_every=1)
    critic = gan.critics[0]
    weights = np.array([0.5, -1.0, 2.0], "float32")
    network_of = critic.call  # times 0: its variables keep their gradients
    critic.call = lambda x, training=False: keras.ops.mean(keras.ops.sum(x * weights, -1), (1, 2)) + 0 * network_of(x)
    expected = (weights**2).sum() / CROP**2
    assert steps(gan, sampler, 0, 1)["r1"] == pytest.approx(expected, rel=1e-5)


def test_the_slope_between_real_and_generated_data_is_pulled_to_one():
    # A critic that is linear in its input has the same gradient everywhere.
    gan, sampler = network("isotropic slices", loss="wasserstein", r1=0.0, gradient_penalty=10.0)
    critic = gan.critics[0]
    weights = np.array([30.0, -10.0, 20.0], "float32")
    network_of = critic.call  # times 0: its variables keep their gradients
    critic.call = lambda x, training=False: keras.ops.mean(keras.ops.sum(x * weights, -1), (1, 2)) + 0 * network_of(x)
    expected = (np.sqrt((weights**2).sum()) / CROP - 1) ** 2
    report = steps(gan, sampler, 0, 1)
    assert report["gradient_penalty"] == pytest.approx(expected, rel=1e-4)
    assert report["critic_loss"] == pytest.approx(report["fake"] - report["real"], rel=1e-5)
    assert report["r1"] == 0


def test_the_penalty_shapes_the_critic():
    gan, sampler = network("one slice, two phases", loss="wasserstein", r1=0.0, gradient_penalty=1000.0)
    gan.critic_optimizer.learning_rate = 0.01
    penalties = []
    for step in range(8):
        for tracker in gan.metrics:
            tracker.reset_state()
        penalties.append(steps(gan, sampler, step, 1)["gradient_penalty"])
    assert penalties[-1] < 0.5 * penalties[0]


TARGETS = {
    "fractions": [1 / 3] * 3,
    "s2": np.full((3, 3, 2), 0.3),
    "diagonal": np.full((3, 3, 2, 2), 0.3),
    "surface": np.full((3, 3), 0.01),
    "tpb": np.full(3, 0.001),
    "spread": np.full((3, 3), 0.01),
    "diffusivity": np.full((3, 3), 0.1),
    "volume_spread": np.array([[0.001, 1e-5]] * 3),
}


@pytest.mark.parametrize("kind", ["volumes", "axial slices"])
@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize(
    "term", ["s2", "diagonal", "surface", "tpb", "spread", "lattice", "diffusivity", "volume_spread"]
)
def test_statistics_are_pulled_to_the_data(kind, term, decay):
    settings = {"targets": TARGETS, "s2_lags": (1, 4), "statistics_decay": decay}
    settings |= {f"{term}_weight": 1000.0, "fraction_weight": 0.0, "r1": 0.0}
    gan, sampler = network(kind, **settings)
    gan.generator_optimizer.learning_rate = 0.01 if decay == 0 else 0.003
    errors = []
    for step in range(8 if decay == 0 else 20):
        for tracker in gan.metrics:
            tracker.reset_state()
        errors.append(steps(gan, sampler, step, 1)[f"soft_{term}_error"])
    # A running mean begins at the target: its error rises before it falls.
    assert errors[-1] < 0.9 * max(errors)


@pytest.mark.parametrize("kind", ["volumes", "isotropic slices", "axial slices"])
def test_the_statistics_of_generated_volumes_are_those_of_the_data(kind):
    settings = {"targets": TARGETS, "s2_lags": (1, 4), "s2_weight": 1.0, "surface_weight": 1.0, "tpb_weight": 1.0}
    gan, _ = network(kind, **settings, diagonal_weight=1.0)
    # Blocks that differ in all three directions.
    labels = np.random.default_rng(0).integers(0, 3, (4, 8, 16)).astype("uint8").repeat(4, 0).repeat(2, 1)
    volumes = keras.ops.convert_to_tensor(np.eye(3, dtype="float32")[labels][None])
    fakes = gan.views(volumes, keras.ops.convert_to_tensor(np.tile(np.arange(16, dtype="int32"), (3, 1))))
    found = gan._statistics(volumes, fakes)
    wanted = physics.statistics(labels, 3, Symmetry("orthotropic"), lags=(1, 4))
    wanted["fraction"] = wanted.pop("fractions")
    assert set(found) == set(wanted)
    found["diagonal"] = keras.ops.mean(found["diagonal"], axis=2, keepdims=True)
    wanted["diagonal"] = wanted["diagonal"][:, :, :1]  # the mean of both
    for name, values in found.items():
        np.testing.assert_allclose(keras.ops.convert_to_numpy(values), wanted[name], rtol=1e-5, err_msg=name)


def test_only_what_has_a_weight_is_reported():
    gan, _ = network("volumes")
    names = {"critic_loss", "generator_loss", "real", "fake", "r1", "fraction_error"}
    assert {tracker.name for tracker in gan.metrics} == names
    gan, _ = network("volumes", gradient_penalty=1.0, targets=TARGETS, surface_weight=1.0)
    assert {tracker.name for tracker in gan.metrics} == names | {"gradient_penalty", "soft_surface_error"}


def test_a_sampler_that_does_not_fit_is_refused():
    gan, _ = network("axial slices")
    sampler = SliceSampler(noise(), CROP, [4, 6], Symmetry("axial", 1))
    with pytest.raises(
        ValueError, match=r"`sampler` must give as many arrays .* \[2, 4\], times .* Received: \[4, 6\]"
    ):
        gan.feed(sampler)


def test_the_fractions_are_pulled_to_the_data():
    gan, sampler = network("isotropic slices", targets={"fractions": [0.8, 0.1, 0.1]}, fraction_weight=1000.0)
    errors = []
    for step in range(12):
        for tracker in gan.metrics:
            tracker.reset_state()
        errors.append(steps(gan, sampler, step, 1)["fraction_error"])
    assert errors[-1] < 0.9 * errors[0]


def test_without_a_weight_fractions_are_not_asked_for():
    gan, sampler = network("isotropic slices", targets=None, fraction_weight=0.0)
    assert steps(gan, sampler, 0, 1)["fraction_error"] == 0


@kinds
def test_a_state_that_was_saved_goes_on_bit_for_bit(kind, tmp_path):
    straight, sampler = network(kind)
    steps(straight, sampler, 0, 4)

    first, _ = network(kind)
    steps(first, sampler, 0, 2)
    first.save_state(tmp_path / "state.npz", step=2, best=0.5)
    second, _ = network(kind)
    steps(second, sampler, 7, 1)
    assert {key: float(value) for key, value in second.load_state(tmp_path / "state.npz").items()} == {
        "step": 2,
        "best": 0.5,
    }
    steps(second, sampler, 2, 2)

    ours, theirs = straight.state(), second.state()
    assert len(ours) == len(theirs)
    for (name, a), (_, b) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)


def test_a_state_with_the_random_generator_of_earlier_versions_is_read(tmp_path):
    gan, sampler = network("isotropic slices")
    steps(gan, sampler, 0, 1)
    gan.save_state(tmp_path / "state.npz", step=1)
    with np.load(tmp_path / "state.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "old.npz", **arrays, **{"9999 seed_generator_state": np.array([0, 2400], "int64")})
    again, _ = network("isotropic slices", seed=9)
    assert int(again.load_state(tmp_path / "old.npz")["step"]) == 1
    for (name, a), (_, b) in zip(gan.state(), again.state(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)


def test_a_state_is_written_at_once(tmp_path):
    gan, _ = network("isotropic slices")
    gan.save_state(str(tmp_path / "state.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_the_state_of_another_model_is_refused(tmp_path):
    gan, _ = network("isotropic slices")
    gan.save_state(tmp_path / "state.npz")
    other, _ = network("one slice, two phases")
    before = values(v for _, v in other.state())
    with pytest.raises(ValueError, match="state.npz holds the state of another model or recipe"):
        other.load_state(tmp_path / "state.npz")
    assert not any(moved(before, [v for _, v in other.state()]))


@pytest.mark.parametrize("size", [0, 10, 5000], ids=lambda n: f"{n} bytes")
def test_a_damaged_state_is_refused(tmp_path, size):
    gan, _ = network("isotropic slices")
    gan.save_state(tmp_path / "state.npz")
    (tmp_path / "state.npz").write_bytes((tmp_path / "state.npz").read_bytes()[:size])
    with pytest.raises(ValueError, match="state.npz is damaged"):
        gan.load_state(tmp_path / "state.npz")


def test_compile_settings_survive():
    gan, _ = network("isotropic slices", generator_updates=2, label_smoothing=0.1)
    again, _ = network("isotropic slices")
    again.compile_from_config(gan.get_compile_config())
    assert again.get_compile_config() == gan.get_compile_config()
    assert again.settings["generator_updates"] == 2


def test_keras_can_call_and_save_it():
    gan, _ = network("isotropic slices")
    latents = np.zeros((1, 6, 6, 6, 3), "float32")
    np.testing.assert_array_equal(np.array(gan(latents)), np.array(gan.average(latents)))


@pytest.mark.parametrize(
    ("critics", "symmetry"),
    [
        ([], Symmetry()),
        ([SliceDiscriminator(2, (4,))] * 2, Symmetry()),
        ([SliceDiscriminator(2, (4,))], Symmetry("axial")),
        ([VolumeDiscriminator(2, (4,)), SliceDiscriminator(2, (4,))], Symmetry("axial")),
    ],
    ids=["none", "two for one group", "one for two groups", "mixed"],
)
def test_critics_must_fit_the_symmetry(critics, symmetry):
    with pytest.raises(
        ValueError, match="`critics` must be one VolumeDiscriminator, or as many SliceDiscriminators as"
    ):
        GAN3D(Generator(2, 3, (4,)), critics, symmetry=symmetry, crop=8)


def beside(volume_crop=8, critics=None):
    critics = critics or [SliceDiscriminator(2, (4,)), VolumeDiscriminator(2, (4,))]
    return GAN3D(Generator(2, 3, (4, 4)), critics, crop=CROP, slices=2, volume_crop=volume_crop)


def test_a_critic_of_volumes_sees_a_part_of_what_critics_of_slices_see():
    gan, rng = beside(), np.random.default_rng(0)
    volumes = rng.random((2, CROP, CROP, CROP, 2)).astype("float32")
    slices, parts = gan.views(
        keras.ops.convert_to_tensor(volumes), np.array([[3, 8]] * 3), np.array([5, 0, 8], "int32")
    )
    assert slices.shape == (12, CROP, CROP, 2)
    np.testing.assert_array_equal(parts, volumes[:, 5:13, 0:8, 8:16])


def test_both_kinds_of_critics_learn():
    gan, labels = beside(), noise(2)
    adam = [keras.optimizers.Adam(1e-3, 0.0, 0.99) for _ in range(2)]
    gan.compile(*adam, **{**SETTINGS, "r1_every": 1, "targets": {"fractions": [0.5, 0.5]}})
    sampler = SamplerPair(SliceSampler(labels, CROP, [12]), VolumeSampler(labels, 8, 2))
    before = values(gan.critic_variables)
    report = steps(gan, sampler, 0, 1)
    assert all(moved(before, gan.critic_variables))
    assert all(np.isfinite(list(report.values())))
    with pytest.raises(ValueError, match=r"`sampler` must give .* \[6, 1\], times the volumes. Received: \[12\]"):
        gan.feed(SliceSampler(labels, CROP, [12]))
    assert gan.get_config()["volume_crop"] == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"volume_crop": 0}, "`critics` must be one VolumeDiscriminator, or"),
        (
            {"critics": [SliceDiscriminator(2, (4,))]},
            "and one VolumeDiscriminator more where `volume_crop` is positive",
        ),
        ({"volume_crop": 17}, "`volume_crop` must be from 0 to the crop, 16 voxels. Received: 17"),
    ],
)
def test_sub_volumes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        beside(**arguments)


@pytest.mark.parametrize("padding", ["zeros", "circular"])
def test_a_generator_that_pads_is_refused(padding):
    with pytest.raises(ValueError, match=f"`generator` must have padding 'valid'. Received: '{padding}'"):
        GAN3D(Generator(2, 3, (4,), padding=padding), VolumeDiscriminator(2, (4,)), crop=8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"loss": "huber"},
            "`loss` must be one of 'logistic', 'wasserstein', 'least_squares', 'hinge'. Received: 'huber'",
        ),
        ({"loss": "hinge", "label_smoothing": 0.1}, "`label_smoothing` must be 0 where the loss is 'hinge'"),
        ({"targets": None}, r"`fraction_weight` needs `targets\['fractions'\]` of shape \(3,\). Received: None"),
        ({"s2_weight": 1.0}, "`s2_lags` must hold lags from 1 to 15 voxels, the crop's. Received: \\(\\)"),
        (
            {"s2_weight": 1.0, "s2_lags": (1,)},
            r"`s2_weight` needs `targets\['s2'\]` of shape \(3, 3, 1\). Received: None",
        ),
        (
            {"s2_weight": 1.0, "targets": {**TARGETS, "s2": np.zeros((3, 3, 1))}, "s2_lags": (16,)},
            r"`s2_lags` must hold lags from 1 to 15 voxels, the crop's. Received: \(16,\)",
        ),
        (
            {"surface_weight": 1.0, "targets": {**TARGETS, "surface": [1.0]}},
            r"`surface_weight` needs `targets\['surface'\]` of shape \(3, 3\). Received: \[1.0\]",
        ),
        ({"tpb_weight": 1.0}, r"`tpb_weight` needs `targets\['tpb'\]` of shape \(3,\). Received: None"),
        ({"spread_weight": 1.0}, r"`spread_weight` needs `targets\['spread'\]` of shape \(3, 3\). Received: None"),
        ({"lattice_weight": 1.0}, r"`lattice_weight` needs `targets\['surface'\]` of shape \(3, 3\). Received: None"),
        ({"critic_weight": 0.0, "fraction_weight": 0.0}, "`critic_weight` must be positive where no statistic has a"),
        ({"statistics_decay": 1.0}, "`statistics_decay` must be from 0 to below 1. Received: 1.0"),
        ({"pull_limit": 0.0}, "`pull_limit` must be a positive number. Received: 0.0"),
        ({"targets": {"fractions": [0.5, 0.5]}}, r"`fraction_weight` needs `targets\['fractions'\]` of shape \(3,\)"),
    ],
)
def test_other_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        network("isotropic slices", **settings)
