"""Starting from a pretrained generator: its last layer, rates that rise, and whole runs."""

import csv
import json

import numpy as np
import pytest

import kerasgan3d
from kerasgan3d.data import LabelledData, Symmetry
from kerasgan3d.io import write
from kerasgan3d.models.preset import load_preset, save_preset
from kerasgan3d.models.pretrained import Pretrained, median_lead
from kerasgan3d.sampling.conditions import Conditions
from kerasgan3d.training import load_recipe, train
from kerasgan3d.training.assemble import make_gan
from kerasgan3d.training.state import read_state
from kerasgan3d.training.views import real_views
from kerasgan3d.volume import Volume
from kerasgan3d.zoo.card import card_text

WIDTHS = {"latent_channels": 4, "widths": (6, 4)}


@pytest.fixture(autouse=True)
def _small(monkeypatch, shrink):
    shrink(monkeypatch)
    monkeypatch.setattr("kerasgan3d.zoo.finetuning.complete", lambda folder: folder)


@pytest.fixture(scope="module")
def tiny(tiny_recipes):
    plain = tiny_recipes["plain"]
    own = {"views": plain.views, "size": 16, "precision": "float32", "warmup": 3, "steps": 5, "monitor_every": 2}
    return load_recipe("finetune").with_changes(**own)


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
    assert [sample.shape for sample in pretrained.samples] == [(8, 8, 8)] * 4
    share = np.mean([np.bincount(sample.ravel(), minlength=3) / 8**3 for sample in pretrained.samples], 0)
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


def make(start, tiny, **changes):
    recipe = tiny.with_changes(**changes)
    data = LabelledData.of(blocks(3), n_phases=3)
    gan = make_gan(recipe, start, Symmetry(), {})
    return gan, recipe, real_views(data, recipe.views, 0.0, recipe.batch, 0)


def values(model):
    return [weight.numpy().copy() for weight in model.weights]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_average_leaves_pretrained_weights_slowly(old, tiny):
    gan, _, reals = make(old, tiny, average_decay=0.75)
    assert_same(values(gan.generator), values(old))
    gan.fit(gan.batches(reals), steps_per_epoch=1, shuffle=False, verbose=0)
    assert not np.array_equal(values(gan.generator)[0], values(old)[0])
    for before, now, mean in zip(values(old), values(gan.generator), values(gan.average.generator), strict=True):
        np.testing.assert_allclose(mean, 0.75 * before + 0.25 * now, rtol=1e-5, atol=1e-6)


def test_the_generators_rate_rises_while_new_critics_learn(old, tiny):
    gan, _, _ = make(old, tiny, critic_updates=2, steps=10, decay_from=0.5, warmup=4)
    ours, theirs = gan.generator_optimizer._learning_rate, gan.critic_optimizer._learning_rate
    assert (ours.warmup, ours.hold, ours.steps) == (4, 5, 10)
    assert (theirs.warmup, theirs.hold, theirs.steps) == (0, 10, 20)
    assert float(ours(0)) == pytest.approx(3e-4 / 4)
    assert float(theirs(0)) == pytest.approx(4e-4)


@pytest.fixture(scope="module")
def finished(preset, scan, tmp_path_factory, shrink, tiny):
    """A whole run: its folder and what it reported."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        shrink(monkeypatch)
        monkeypatch.setattr("kerasgan3d.zoo.finetuning.complete", lambda folder: folder)
        output, reports, ticks = tmp_path_factory.mktemp("runs") / "run", [], []
        kerasgan3d.finetune(
            preset, scan, output, recipe=tiny, progress=reports.append, tick=lambda *step: ticks.append(step)
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
    assert [(report.step, report.steps) for report in reports] == [(2, 5), (4, 5), (5, 5)]
    assert ticks == [(i, 5) for i in range(1, 6)]
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
    assert " of 5, after " in text
    assert "its architecture" in text


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(finished, preset, scan, tmp_path, tiny):
    output, steps = finished[0], []

    def interrupt(done, steps):
        if done == 3:
            raise KeyboardInterrupt

    options = {"recipe": tiny, "progress": steps.append}
    with pytest.raises(KeyboardInterrupt):
        kerasgan3d.finetune(preset, scan, tmp_path / "run", tick=interrupt, **options)
    kerasgan3d.finetune(preset, scan, tmp_path / "run", **options)
    assert [report.step for report in steps] == [2, 4, 5]
    assert log_of(tmp_path / "run") == log_of(output)
    ours, theirs = (read_state(folder / "state.npz") for folder in (tmp_path / "run", output))
    # Names count the models that the process made before.
    for a, b in zip(sorted(ours), sorted(theirs), strict=True):
        if "seconds" not in a and "row" not in a:
            np.testing.assert_array_equal(ours[a], theirs[b])
    assert_same(load_preset(tmp_path / "run" / "best").get_weights(), load_preset(output / "best").get_weights())


def test_another_start_is_no_resumption(finished, preset, old, scan, tmp_path, tiny):
    output, reports, _ = finished
    before = (output / "state.npz").read_bytes()
    changed = save_preset(old.with_padding("valid"), tmp_path / "changed", {"name": "changed"})
    generator = load_preset(changed)
    generator.normalizations[0].gamma.assign(2 * generator.normalizations[0].gamma.numpy())
    with pytest.raises(ValueError, match="holds a run with other settings: .*fine_tuned_from.digest"):
        kerasgan3d.finetune(generator, scan, output, recipe=tiny)
    with pytest.raises(ValueError, match="holds a run with other settings: recipe.architecture 'pretrained'"):
        train(scan, output, recipe=tiny)
    assert (output / "state.npz").read_bytes() == before
    # The same start goes on, or is left as it is, wherever it is taken from.
    later = []
    assert kerasgan3d.finetune(preset, scan, output, recipe=tiny, progress=later.append) == output / "best"
    assert later == []


def test_a_dry_run_tells_what_follows_what_and_the_scale(preset, scan, tmp_path, tiny):
    text = kerasgan3d.finetune(preset, scan, tmp_path / "run", recipe=tiny, dry_run=True)
    assert "old (pore/Ni/YSZ, 0.5 µm): Pore from pore, CGO from none, Ni from Ni, YSZ from YSZ" in text
    assert "times as long as the generator's, " in text
    assert "5 of 1 x 16^3 voxels, measured every 2" in text
    assert "finetune: pretrained generator, not told volume fractions; relativistic loss" in text
    assert "no local fractions: the generator is not told local fractions" in text
    assert not (tmp_path / "run").exists()


# Generators that are told local volume fractions


@pytest.fixture(scope="module")
def told(make_generator):
    """A deep generator that is told local volume fractions, of other data."""
    conditions = Conditions(
        mean=(0.5, 0.2, 0.3),
        deviation=(0.1, 0.1, 0.1),
        root=tuple(map(tuple, np.eye(3).tolist())),
        taps=((0.6, 0.8, 0.0),) * 3,
        lowest=(0.2, 0.0, 0.1),
        highest=(0.8, 0.4, 0.5),
        gain=(1.3, 0.8, 1.1),
        shift=(0.01, 0.0, -0.01),
    )
    phases = ("pore", "Ni", "YSZ")
    return make_generator(phases=phases, voxel_size=0.5, seed=4, depths=(1, 1), conditions=conditions, **WIDTHS)


def test_inputs_for_fractions_follow_their_phases(told):
    names, fractions = ("YSZ", "CGO", "PORE", "Ni"), (0.25,) * 4
    conditions = Conditions.from_json(
        {
            **told.conditions.to_json(),
            **{key: [0.25] * 4 for key in ("mean", "deviation", "lowest", "highest")},
            "root": np.eye(4).tolist(),
            "gain": [1.0] * 4,
            "shift": [0.0] * 4,
        }
    )
    new = Pretrained(told, 16).start(names, 0.1, fractions, conditions=conditions)
    assert new.conditions == conditions
    mine, theirs = new.convolutions[0].kernel.numpy(), told.convolutions[0].kernel.numpy()
    assert mine.shape[-2] == theirs.shape[-2] + 1
    np.testing.assert_array_equal(mine[..., :4, :], theirs[..., :4, :])
    for i, j in ((0, 2), (2, 0), (3, 1)):
        np.testing.assert_array_equal(mine[..., 4 + i, :], theirs[..., 4 + j, :])
    np.testing.assert_allclose(mine[..., 5, :], theirs[..., 4:, :].mean(-2), atol=1e-6)
    for a, b in zip(new.residual_convolutions, told.residual_convolutions, strict=True):
        assert_same(a.get_weights(), b.get_weights())


def test_a_generator_that_is_told_fractions_is_told_those_of_the_data(told, scan, tmp_path, tiny):
    recipe = tiny.with_changes(conditional=True)
    best = kerasgan3d.finetune(told, scan, tmp_path / "run", recipe=recipe, steps=1)
    generator = load_preset(best)
    share = np.bincount(blocks(4).ravel()) / blocks(4).size
    np.testing.assert_allclose(generator.conditions.mean, share)
    assert generator.conditions.shift == pytest.approx(generator.card["training"]["answers"]["shift"])
    assert set(generator.card["training"]["terms"]) == {"volume_fractions", "local_fractions"}
    wish = {"CGO": generator.conditions.mean[1]}
    assert generator.sample(16, periodic=True, seed=0, fractions=wish).phases == generator.phases


@pytest.mark.parametrize(
    ("name", "phases", "start", "told"),
    [
        (
            "nmc-cathode",
            ("pore", "NMC", "CBD"),
            "nmc-cathode (pore/NMC/CBD, 0.398 µm): pore from pore, NMC from NMC, CBD from CBD",
            "generator, told local volume fractions",
        ),
        (
            "sofc-anode",
            ("pore", "Ni", "YSZ"),
            "sofc-anode (pore/Ni/YSZ, 0.065 µm): pore from pore, Ni from Ni, YSZ from YSZ",
            "generator, not told volume fractions",
        ),
    ],
)
def test_shipped_generators_are_begun_with(tmp_path, tiny, name, phases, start, told):
    write(Volume(blocks(3, 9), phases, 0.4), tmp_path / "scan.tif")
    recipe = tiny.with_changes(size=32, steps=1)
    text = kerasgan3d.finetune(name, tmp_path / "scan.tif", tmp_path / "run", recipe=recipe, dry_run=True)
    assert start in text
    assert told in text


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (6.0, "structures are 1 times as long as the generator's, 6 voxels against 6"),
        (4.0, "1.5 times as long as the generator's, 6 voxels against 4"),
        (2.0, "voxels against 2: another scale to learn, or set `resample_to` to 0.75"),
        (12.0, "voxels against 12: another scale to learn\n"),
        (np.inf, "structures of the generator are too long to be compared\n"),
    ],
    ids=["alike", "nearly", "longer", "shorter", "endless"],
)
def test_structures_of_another_scale_are_told(monkeypatch, old, scan, tmp_path, length, message, tiny):
    monkeypatch.setattr("kerasgan3d.material.material.Material.structuring_length", lambda *args: 6.0)
    monkeypatch.setattr(Pretrained, "structuring_length", length)
    assert message in kerasgan3d.finetune(old, scan, tmp_path / "run", recipe=tiny, dry_run=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "paper"}, "`architecture` must be None where training starts from a generator.*'paper'"),
        ({"revision": "main"}, "`revision` must be None where `source` is a Generator. Received: 'main'"),
        ({"warmup": -1}, "`warmup` must be an integer of at least 0. Received: -1"),
        ({"recipe": "best"}, "`recipe` must be one of"),
        ({"size": 18}, "`size` must be a multiple of 4"),
        ({"minutes": 0}, "`minutes` must be positive"),
    ],
    ids=str,
)
def test_mistakes_leave_no_folder(old, scan, tmp_path, options, message, tiny):
    with pytest.raises(ValueError, match=message):
        kerasgan3d.finetune(old, scan, tmp_path / "run", **{"recipe": tiny, **options})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("part", [".", "best"])
def test_the_start_is_not_replaced(finished, scan, part, tiny):
    output = finished[0]
    before = (output / "best" / "model.weights.h5").read_bytes()
    with pytest.raises(ValueError, match="`output` must be another folder than that of the generator to start from"):
        kerasgan3d.finetune(output / part, scan, output, recipe=tiny, resume=False)
    assert (output / "best" / "model.weights.h5").read_bytes() == before


def test_a_generator_that_is_not_there(scan, tmp_path, tiny):
    with pytest.raises(ValueError, match="there is no generator 'nowhere'"):
        kerasgan3d.finetune("nowhere", scan, tmp_path / "run", recipe=tiny)


def test_a_recipe_that_needs_a_start_is_refused_without_one(scan, tmp_path, tiny):
    with pytest.raises(ValueError, match="recipe finetune starts from a generator. Received: none. Use `kerasgan3d.f"):
        train(scan, tmp_path / "run", recipe=tiny.with_changes(architecture="pretrained"))
    assert not (tmp_path / "run").exists()


def test_the_folder_is_completed(monkeypatch, old, scan, tmp_path, tiny):
    completed = []
    monkeypatch.setattr("kerasgan3d.zoo.finetuning.complete", lambda folder: completed.append(folder) or folder)
    best = kerasgan3d.finetune(old, scan, tmp_path / "run", recipe=tiny, steps=1, name="mine")
    assert completed == [best] == [tmp_path / "run" / "best"]
    assert json.loads((best / "kerasgan3d.json").read_text("utf-8"))["name"] == "mine"
    assert len(log_of(tmp_path / "run")) == 1


def test_keywords_of_earlier_versions_name_what_replaces_them(old, scan, tmp_path, tiny):
    with pytest.raises(TypeError, match=r"`critic_warmup` is of an earlier version: `warmup` lets"):
        kerasgan3d.finetune(old, scan, tmp_path / "run", recipe=tiny, critic_warmup=3)
    assert not (tmp_path / "run").exists()


def test_a_run_of_an_earlier_version_is_refused_before_anything_else_and_its_best_is_begun_with(
    preset, scan, tmp_path, tiny
):
    import shutil

    earlier = tmp_path / "earlier"
    shutil.copytree(preset, earlier / "best")
    np.savez(earlier / "state.npz", a=np.zeros(3))
    (earlier / "run.json").write_text('{"recipe": {"name": "finetune", "critic_warmup": 100}}', "utf-8")
    with pytest.raises(ValueError, match="holds a run of kerasgan3d 0.1, which that version resumes"):
        kerasgan3d.finetune("nowhere", scan, earlier)
    text = kerasgan3d.finetune(earlier / "best", scan, tmp_path / "run", recipe=tiny, dry_run=True)
    assert "old (pore/Ni/YSZ, 0.5 µm): Pore from pore" in text


def test_a_run_that_has_no_time_to_learn_keeps_nothing(old, scan, tmp_path, tiny):
    with pytest.raises(ValueError, match="`minutes` must leave time to learn"):
        kerasgan3d.finetune(old, scan, tmp_path / "run", recipe=tiny, minutes=1e-9)
    assert not (tmp_path / "run" / "best").exists()
