"""Starting from a pretrained generator: its last layer, the critics' first steps, and whole runs."""

import csv
import importlib
import json

import numpy as np
import pytest

import kerasgan3d
from kerasgan3d.data import Symmetry
from kerasgan3d.io import write
from kerasgan3d.models.preset import load_preset, save_preset
from kerasgan3d.training import load_recipe, physics, train
from kerasgan3d.training.assemble import make_gan
from kerasgan3d.training.normalization import renew_statistics
from kerasgan3d.training.pretrained import Pretrained, median_lead
from kerasgan3d.volume import Volume
from kerasgan3d.zoo.card import card_text

monitor = importlib.import_module("kerasgan3d.training.monitor")
WIDTHS = {"latent_channels": 4, "widths": (6, 4, 4, 4)}
TINY = load_recipe("finetune").with_changes(
    crop=32, batch=1, slices=2, critic_widths=(4, 5), critic_warmup=3, steps=5, monitor_every=2, calibrate=False
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(monitor, "SAMPLES", {"count": 2, "seed": 2**33})
    monkeypatch.setattr("kerasgan3d.training.monitor_figure.draw_monitor", lambda *args: None)
    monkeypatch.setattr("kerasgan3d.zoo.finetuning.complete", lambda folder: folder)


@pytest.fixture(scope="module")
def old(make_generator):
    """A generator of pore, Ni and YSZ with lived-in weights."""
    return make_generator(phases=("pore", "Ni", "YSZ"), voxel_size=0.5, seed=3, **WIDTHS)


@pytest.fixture(scope="module")
def preset(old, tmp_path_factory):
    """Its folder."""
    folder = tmp_path_factory.mktemp("presets") / "old"
    return save_preset(old, folder, {"name": "old", "citation": "A. Author (2020)", "licence": "MIT"})


def blocks(phases, side=10):
    labels = np.random.default_rng(0).integers(0, phases, (side,) * 3).astype("uint8")
    return labels.repeat(4, 0).repeat(4, 1).repeat(4, 2)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.tif"
    write(Volume(blocks(4), ("Pore", "CGO", "Ni", "YSZ"), 0.25), path)
    return path


class Known(Pretrained):
    """One whose volume fractions are given."""

    fractions = np.array([0.5, 0.2, 0.3])


@pytest.mark.parametrize(
    ("names", "fractions", "expected"),
    [
        (("PORE", "ni", "ysz"), (0.1, 0.1, 0.8), [0, 1, 2]),
        (("YSZ", "pore"), (0.5, 0.5), [2, 0]),
        (("Ni", "grain"), (0.4, 0.6), [1, 0]),
        (("a", "b", "c"), (0.3, 0.45, 0.25), [2, 0, 1]),
        (("pore", "a", "b", "Ni", "YSZ"), (0.2,) * 5, [0, None, None, 1, 2]),
        (("a", "b", "c", "pore"), (0.05, 0.3, 0.2, 0.45), [None, 2, 1, 0]),
        (("Pore", "pore"), (0.5, 0.5), [0, 2]),
    ],
    ids=["same", "fewer", "one other", "others", "more", "more and others", "case alone"],
)
def test_phases_follow_those_of_their_name_then_those_of_their_share(old, names, fractions, expected):
    assert Known(old, 32).counterparts(names, fractions) == expected


def test_the_fractions_are_those_of_its_volumes(old):
    pretrained = Pretrained(old, 8)
    assert [sample.shape for sample in pretrained.samples] == [(16, 16, 16)] * 4
    share = np.mean([np.bincount(sample.ravel(), minlength=3) / 16**3 for sample in pretrained.samples], 0)
    np.testing.assert_allclose(pretrained.fractions, share)


@pytest.mark.parametrize(
    ("upsampling", "axis"), [("resize", -1), ("transposed", -2)], ids=["up-sampling", "transposed"]
)
def test_all_but_the_last_layer_is_kept_and_there_what_has_a_counterpart(make_generator, upsampling, axis):
    generator = make_generator(upsampling, phases=("pore", "Ni", "YSZ"))
    before = generator.get_weights()
    new = Pretrained(generator, 8).start(("YSZ", "void", "PORE", "Ni"), 0.1, (0.25,) * 4)
    assert (new.phases, new.voxel_size) == (("YSZ", "void", "PORE", "Ni"), 0.1)
    assert (new.widths, new.latent_channels, new.upsampling) == (generator.widths, 5, upsampling)
    for a, b in zip(generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    ours = {w.path.split("/", 1)[1]: w.numpy() for w in new.weights}
    theirs = {w.path.split("/", 1)[1]: w.numpy() for w in generator.weights}
    assert {path for path, value in ours.items() if value.shape != theirs[path].shape} == {
        "convolution_2/kernel",
        "convolution_2/bias",
    }
    for path in set(ours) - {"convolution_2/kernel", "convolution_2/bias"}:
        np.testing.assert_array_equal(ours[path], theirs[path])
    kernel, source = (np.moveaxis(w["convolution_2/kernel"], axis, 0) for w in (ours, theirs))
    for i, j in ((0, 2), (2, 0), (3, 1)):
        np.testing.assert_array_equal(kernel[i], source[j])
    # A new phase is as far from the mean of the old ones as these are, and no blend of them.
    apart = (kernel[1] - source.mean(0)) / source.std(0)
    assert 0.8 < apart.std() < 1.2
    assert not any(np.array_equal(kernel[1], part) for part in source)


@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
def test_a_start_that_is_too_sure_to_learn_is_made_less_so_and_labels_stay(make_generator, upsampling):
    sure = make_generator(upsampling, phases=("pore", "Ni", "YSZ"))
    times = 40.0 / median_lead(sure, 16)
    for weight in sure.convolutions[-1].trainable_variables:
        weight.assign(weight.numpy() * times)
    assert median_lead(sure, 16) == pytest.approx(40.0, rel=1e-3)
    # Of the volumes by which biases are judged, so that they stay.
    labels = np.stack([sure.sample(16, seed=2**32 + i).labels[::2, ::2, ::2] for i in range(8)])
    fractions = np.bincount(labels.ravel(), minlength=3) / labels.size
    start = Pretrained(sure, 16).start(sure.phases, 0.1, fractions)
    assert median_lead(start, 16) == pytest.approx(4.0, rel=1e-3)
    np.testing.assert_array_equal(start.sample(32, seed=1).labels, sure.sample(32, seed=1).labels)


def test_new_kernels_depend_on_the_seed(old):
    names, share = ("pore", "Ni", "YSZ", "CGO"), (0.25,) * 4
    first, again, other = (
        Pretrained(old, 8).start(names, None, share, seed=seed).convolutions[-1].kernel.numpy() for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[..., :3], other[..., :3])
    assert not np.isclose(first[..., 3], other[..., 3]).any()


@pytest.mark.parametrize(
    ("names", "fractions"),
    [
        (("pore", "Ni", "YSZ"), (0.2, 0.3, 0.5)),
        (("Ni", "pore"), (0.35, 0.65)),
        (("pore", "a", "b", "YSZ"), (0.4, 0.1, 0.2, 0.3)),
    ],
    ids=["same", "fewer", "more"],
)
def test_the_first_volumes_have_about_the_fractions_of_the_data(old, names, fractions):
    new = Pretrained(old, 32).start(names, None, fractions)
    labels = np.stack([new.sample(32, seed=i).labels for i in range(8)])
    np.testing.assert_allclose(np.bincount(labels.ravel(), minlength=len(names)) / labels.size, fractions, atol=0.08)


def test_a_generator_without_output_bias_stays_one(make_generator):
    new = Pretrained(make_generator(output_bias=False), 8).start(("a", "b"), None, (0.5, 0.5))
    assert new.convolutions[-1].bias is None
    assert len(new.phases) == 2


def test_what_cannot_be_trained_is_refused(old):
    with pytest.raises(ValueError, match="`pretrained` must be a Generator. Received: str"):
        Pretrained("nmc-cathode", 32)
    with pytest.raises(ValueError, match="`pretrained` must have normalization 'batch', .* Received: 'folded'"):
        Pretrained(old.folded(), 32)


def test_padding_is_no_matter(old):
    other = Pretrained(old.with_padding("circular"), 8)
    assert other.generator.padding == "valid"
    assert other.facts(old.phases, [1 / 3] * 3) == Pretrained(old, 8).facts(old.phases, [1 / 3] * 3)


def make(start, **changes):
    recipe = TINY.with_changes(**changes)
    labels = blocks(3)
    found = physics.statistics(labels, 3, Symmetry(), lags=recipe.s2_lags)
    gan = make_gan(recipe, start.phases, 0.5, Symmetry(), 0, found, None, start)
    return gan, recipe, kerasgan3d.data.SliceSampler(labels, 32, [6])


def values(model):
    return [weight.numpy().copy() for weight in model.weights]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_held_steps_teach_the_critics_alone(old):
    gan, _, sampler = make(old, critic_updates=2)
    assert_same(values(gan.generator), values(old))
    for held in (True, False):
        trained, average, critic = gan.generator.trainable_variables, values(gan.average), values(gan.critics[0])
        before = [weight.numpy().copy() for weight in trained]
        gan.generator_held = held
        gan.fit(gan.batches(sampler), steps_per_epoch=2, shuffle=False, verbose=0)
        still = [np.array_equal(a, b.numpy()) for a, b in zip(before, trained, strict=True)]
        assert all(still) if held else not any(still)
        assert np.array_equal(average[0], values(gan.average)[0]) is held
        assert not np.array_equal(critic[0], values(gan.critics[0])[0])
    # An update of the critics of held steps is like any other.
    assert (int(gan.generator_optimizer.iterations), int(gan.critic_optimizer.iterations)) == (2, 8)


def test_the_average_leaves_pretrained_weights_slowly(old):
    gan, _, sampler = make(old, average_decay=0.75)
    gan.fit(gan.batches(sampler), steps_per_epoch=1, shuffle=False, verbose=0)
    for before, now, mean in zip(values(old), values(gan.generator), values(gan.average), strict=True):
        np.testing.assert_allclose(mean, 0.75 * before + 0.25 * now, rtol=1e-5, atol=1e-6)


def test_rates_of_the_critics_fall_when_the_generators_do(old):
    gan, recipe, _ = make(old, critic_updates=2, steps=10, decay_from=0.5)
    ours, theirs = gan.generator_optimizer._learning_rate, gan.critic_optimizer._learning_rate
    assert (ours.hold, ours.steps) == (5, 10)
    assert (theirs.hold, theirs.steps) == (2 * (recipe.critic_warmup + 5), 2 * (recipe.critic_warmup + 10))


@pytest.fixture(scope="module")
def finished(preset, scan, tmp_path_factory):
    """A whole run: its folder and what it reported."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(monitor, "SAMPLES", {"count": 2, "seed": 2**33})
        monkeypatch.setattr("kerasgan3d.training.monitor_figure.draw_monitor", lambda *args: None)
        monkeypatch.setattr("kerasgan3d.zoo.finetuning.complete", lambda folder: folder)
        output, reports, ticks = tmp_path_factory.mktemp("runs") / "run", [], []
        kerasgan3d.finetune(
            preset, scan, output, recipe=TINY, progress=reports.append, tick=lambda *step: ticks.append(step)
        )
    return output, reports, ticks


def log_of(output):
    with open(output / "log.csv", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def test_a_run_makes_a_generator_of_the_data(finished, preset, old):
    output, reports, ticks = finished
    generator = load_preset(output / "best")
    assert (generator.phases, generator.voxel_size) == (("Pore", "CGO", "Ni", "YSZ"), 0.25)
    assert generator.widths == old.widths
    assert [(report.step, report.steps) for report in reports] == [(3, 8), (5, 8), (7, 8), (8, 8)]
    assert ticks == [(i, 8) for i in range(1, 9)]
    assert (output / "best" / "reference.json").is_file()
    origin = generator.card["training"]["fine_tuned_from"]
    assert origin["name"] == "old"
    assert origin["sha256"] == load_preset(preset).card["sha256"]
    assert (origin["phases"], origin["voxel_size"]) == (["pore", "Ni", "YSZ"], 0.5)
    assert origin["counterparts"] == {"Pore": "pore", "CGO": None, "Ni": "Ni", "YSZ": "YSZ"}
    assert generator.card["training"]["recipe"]["architecture"] == "pretrained"
    assert generator.card["name"] == "run"
    assert generator.card.get("licence") is None


def test_the_card_says_what_it_was_fine_tuned_from(finished, preset):
    text = card_text(finished[0] / "best")
    digest = load_preset(preset).card["sha256"]
    assert (
        f"Fine-tuned from `old` (weights' sha256 `{digest}`), which learned from the data of A. Author (2020)." in text
    )
    assert " of 8, after " in text
    assert "its architecture" in text


def test_nothing_but_the_critics_moves_before_the_first_measurement(finished, preset, scan):
    output, reports, _ = finished
    start = Pretrained(load_preset(preset), 32).start(
        ("Pore", "CGO", "Ni", "YSZ"), 0.25, np.bincount(blocks(4).ravel()) / blocks(4).size
    )
    renew_statistics(start, 32)
    reference = json.loads((output / "best" / "reference.json").read_text("utf-8"))
    _, measured = monitor.measure(start, 32, reference)
    assert [float(log_of(output)[0][f"fraction_{i}"]) for i in range(4)] == pytest.approx(
        measured["mean"]["volume_fraction"], rel=1e-3
    )
    assert reports[0].losses["generator_loss"] == 0
    assert reports[1].losses["generator_loss"] != 0


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 2], ids=["after the critics' steps", "later"])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(finished, preset, scan, tmp_path, parts):
    output, steps = finished[0], []
    for _ in range(parts):
        kerasgan3d.finetune(preset, scan, tmp_path / "run", recipe=TINY, minutes=1e-9, progress=steps.append)
    kerasgan3d.finetune(preset, scan, tmp_path / "run", recipe=TINY, progress=steps.append)
    assert [report.step for report in steps] == [3, 5, 7, 8]
    assert log_of(tmp_path / "run") == log_of(output)
    with np.load(tmp_path / "run" / "state.npz") as ours, np.load(output / "state.npz") as theirs:
        # Names count the models that the process made before.
        for a, b in zip(sorted(ours.files), sorted(theirs.files), strict=True):
            if "seconds" not in a and "row" not in a:
                np.testing.assert_array_equal(ours[a], theirs[b])
    assert_same(load_preset(tmp_path / "run" / "best").get_weights(), load_preset(output / "best").get_weights())


def test_another_start_is_no_resumption(finished, preset, old, scan, tmp_path):
    output, reports, _ = finished
    before = (output / "state.npz").read_bytes()
    changed = save_preset(old.with_padding("valid"), tmp_path / "changed", {"name": "changed"})
    generator = load_preset(changed)
    generator.normalizations[0].gamma.assign(2 * generator.normalizations[0].gamma.numpy())
    with pytest.raises(ValueError, match="holds a run with other settings: .*fine_tuned_from.digest"):
        kerasgan3d.finetune(generator, scan, output, recipe=TINY)
    with pytest.raises(ValueError, match="holds a run with other settings: recipe.architecture 'pretrained'"):
        train(scan, output, recipe=TINY)
    assert (output / "state.npz").read_bytes() == before
    # The same start goes on, or is left as it is, wherever it is taken from.
    later = []
    assert kerasgan3d.finetune(preset, scan, output, recipe=TINY, progress=later.append) == output / "best"
    assert later == []


def test_a_dry_run_tells_what_follows_what_and_the_scale(preset, scan, tmp_path):
    text = kerasgan3d.finetune(preset, scan, tmp_path / "run", recipe=TINY, dry_run=True)
    assert "old (pore/Ni/YSZ, 0.5 µm): Pore from pore, CGO from none, Ni from Ni, YSZ from YSZ" in text
    assert "times as long as the generator's, " in text
    assert "3 of the critics alone, then 5 of 1 volumes, measured every 2" in text
    assert "finetune: pretrained generator, critics of slices" in text
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_where_no_critics_are_asked(preset, scan, tmp_path):
    recipe = TINY.with_changes(critic_weight=0.0)
    text = kerasgan3d.finetune(preset, scan, tmp_path / "run", recipe=recipe, dry_run=True)
    assert "finetune: pretrained generator, no critics" in text


def test_a_run_without_critics_goes_through(preset, scan, tmp_path):
    recipe = TINY.with_changes(critic_weight=0.0, critic_warmup=0, steps=2, calibrate=0.1)
    best = kerasgan3d.finetune(preset, scan, tmp_path / "run", recipe=recipe)
    card = json.loads((best / "kerasgan3d.json").read_text("utf-8"))
    assert card["training"]["recipe"]["critic_weight"] == 0
    assert np.abs(card["training"]["calibration"]["shift"]).max() <= 0.1 + 1e-6


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (6.0, "structures are 1 times as long as the generator's, 6 voxels against 6"),
        (4.0, "1.5 times as long as the generator's, 6 voxels against 4"),
        (2.0, "voxels against 2: another scale to learn, or resample_to=0.75 (--resample-to)"),
        (12.0, "voxels against 12: another scale to learn\n"),
        (np.inf, "structures are too long to be compared: those of the generator\n"),
    ],
    ids=["alike", "nearly", "longer", "shorter", "endless"],
)
def test_structures_of_another_scale_are_told(monkeypatch, old, scan, tmp_path, length, message):
    monkeypatch.setattr("kerasgan3d.training.material.Material.structuring_length", lambda *args: 6.0)
    monkeypatch.setattr(Pretrained, "structuring_length", length)
    assert message in kerasgan3d.finetune(old, scan, tmp_path / "run", recipe=TINY, dry_run=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "paper"}, "`architecture` must be None where training starts from a generator.*'paper'"),
        ({"revision": "main"}, "`revision` must be None where `source` is a Generator. Received: 'main'"),
        ({"critic_warmup": -1}, "`critic_warmup` must be a number of steps, 0 or more. Received: -1"),
        ({"recipe": "best"}, "`recipe` must be one of"),
        ({"crop": 64}, "at least as large as a crop of 64 voxels"),
    ],
    ids=str,
)
def test_mistakes_leave_no_folder(old, scan, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        kerasgan3d.finetune(old, scan, tmp_path / "run", **{"recipe": TINY, **options})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("part", [".", "best"])
def test_the_start_is_not_replaced(finished, scan, part):
    output = finished[0]
    before = (output / "best" / "model.weights.h5").read_bytes()
    with pytest.raises(ValueError, match="`output` must be another folder than that of the generator to start from"):
        kerasgan3d.finetune(output / part, scan, output, recipe=TINY, resume=False)
    assert (output / "best" / "model.weights.h5").read_bytes() == before


def test_a_generator_that_is_not_there(scan, tmp_path):
    with pytest.raises(ValueError, match="there is no generator 'nowhere'"):
        kerasgan3d.finetune("nowhere", scan, tmp_path / "run", recipe=TINY)


def test_a_recipe_that_needs_a_start_is_refused_without_one(scan, tmp_path):
    with pytest.raises(ValueError, match="recipe finetune starts from a generator. Received: none. Use `kerasgan3d.f"):
        train(scan, tmp_path / "run", recipe=TINY.with_changes(architecture="pretrained"))
    assert not (tmp_path / "run").exists()


def test_the_folder_is_completed(monkeypatch, old, scan, tmp_path):
    completed = []
    monkeypatch.setattr("kerasgan3d.zoo.finetuning.complete", lambda folder: completed.append(folder) or folder)
    best = kerasgan3d.finetune(old, scan, tmp_path / "run", recipe=TINY, steps=1, critic_warmup=0, name="mine")
    assert completed == [best] == [tmp_path / "run" / "best"]
    assert json.loads((best / "kerasgan3d.json").read_text("utf-8"))["name"] == "mine"
    assert len(log_of(tmp_path / "run")) == 1
