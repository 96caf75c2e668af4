"""Generators whose noise has another mean, and the way to one that has what is wanted."""

import json
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from kerasgan3d import Generator, Volume, load_generator, tune, zoo
from kerasgan3d.cli import main
from kerasgan3d.models.preset import save_preset
from kerasgan3d.models.shift import Shifted, shifted
from kerasgan3d.sampling import Conditions
from kerasgan3d.steering.descent import descend, misses
from kerasgan3d.steering.slopes import Slopes, has_slope
from kerasgan3d.steering.targets import as_targets, measured
from kerasgan3d.zoo.publishing import check_publishable

PHASES = ("pore", "NMC", "CBD")
CONDITIONS = Conditions(
    mean=(0.4, 0.5, 0.1),
    deviation=(0.05, 0.045, 0.012),
    root=((0.8, -0.6, 0.0), (-0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
    taps=((0.5, 0.7, 0.5),) * 3,
    lowest=(0.25, 0.3, 0.05),
    highest=(0.6, 0.65, 0.15),
    gain=(1.25, 1.0, 0.8),
    shift=(0.01, -0.01, 0.0),
)
SMALL = {"size": 16, "count": 3, "steps": 3, "classifier": False}
WANTED = {"targets": "fraction.pore=+4%", "keep": "ssa.NMC", **SMALL}


@pytest.mark.parametrize(
    "options",
    [{}, {"upsampling": "transposed"}, {"depths": (1, 1)}, {"padding": "circular"}, "folded"],
    ids=str,
)
def test_a_shift_is_one_of_all_latents(make_generator, options):
    generator = make_generator().folded() if options == "folded" else make_generator(**options)
    rng, before = np.random.default_rng(0), [weight.copy() for weight in generator.get_weights()]
    m, latents = rng.normal(0, 0.3, 5).astype("float32"), rng.standard_normal((1, 11, 11, 11, 5)).astype("float32")
    found = shifted(generator, m)
    np.testing.assert_allclose(found.logits(latents), generator.logits(latents + m), rtol=1e-4, atol=1e-4)
    assert {**found.get_config(), "name": generator.name} == generator.get_config()
    for old, new in zip(before, generator.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # What batch normalisation measures anew does not hold the shift.
    changed = {w.path for w, old in zip(found.weights, before, strict=True) if (w.numpy() != old).any()}
    assert {path.split("/")[-1] for path in changed} == {"bias" if options == "folded" else "beta"}


def test_what_is_drawn_beside_the_latents_moves_and_wishes_do_not(make_generator):
    generator = make_generator(phases=PHASES, conditions=CONDITIONS)
    m = np.array([0.0] * 5 + [0.3, -0.2, 0.1])
    there = Shifted(generator)
    there.move(m)
    where = (0, 0, 0), (3, 4, 5)
    moved = there.generator.field(1).window(*where) - generator.field(1).window(*where)
    np.testing.assert_allclose(moved, np.broadcast_to(there.inputs @ m, moved.shape), atol=1e-5)
    # Noise of another mean, put through the same filters.
    response = 1.7**3 * np.array(CONDITIONS.root) @ m[5:] / np.array(CONDITIONS.gain)
    np.testing.assert_allclose((there.inputs @ m)[5:], response)
    mean = np.array([0.45, 0.46, 0.09])
    found = shifted(generator, m, mean).conditions
    # Who asks for the new mean gets what is drawn on average; who asks for more, as much more as before.
    drawn = CONDITIONS.corrected(np.zeros(3)) + response
    np.testing.assert_allclose(found.standardised(mean), drawn, rtol=1e-5)
    more = np.array([0.02, -0.02, 0.0])
    wished = CONDITIONS.standardised(np.array(CONDITIONS.mean) + more) - CONDITIONS.corrected(np.zeros(3))
    np.testing.assert_allclose(found.standardised(mean + more) - drawn, wished, atol=1e-5)
    unmoved = shifted(generator, 0 * m).conditions
    assert unmoved == CONDITIONS


NAMES = ["fraction.pore", "ssa.NMC", "interface.pore.CBD", "tpb", "chord.pore", "chord.pore.x", "D_rel.pore.z"]
NAMES += ["tau.pore.y"]


def test_slopes_are_those_of_what_is_measured(make_generator):
    generator = make_generator(phases=PHASES, voxel_size=0.5)
    there, targets = Shifted(generator), as_targets([f"{name}=1" for name in NAMES], PHASES, 0.5)
    jobs = [generator.job(24, periodic=True, seed=seed) for seed in range(3)]

    def at(m):
        there.move(m)
        return np.mean([measured(there.generator.sample(job), targets) for job in jobs], axis=0)

    here = at(np.zeros(5))
    found = Slopes(there, targets)(jobs, here)
    differences = np.stack([at(h) - at(-h) for h in 0.1 * np.eye(5)], axis=1) / 0.2
    lengths, others = (np.linalg.norm(rows, axis=1) for rows in (found, differences))
    along = dict(zip(NAMES, ((found * differences).sum(1) / lengths / others).round(2), strict=True))
    assert min(along.values()) > 0.5, along
    np.testing.assert_array_less(np.abs(np.log(lengths / others)), np.log(3), str(along))


def test_what_has_no_slope():
    names = ["tpb=1", "active_tpb=1", "specks.pore=0", "D_rel.pore=1", "connected.pore=1", "euler.pore=0"]
    assert [has_slope(t) for t in as_targets(names, PHASES, 0.5)] == [True, False, False, True, False, False]


MATRIX = np.array([[0.5, 0.2, 0.0, 0.1], [0.0, 0.3, -0.4, 0.0], [0.1, 0.0, 0.0, 0.6]])


@pytest.mark.parametrize(
    ("targets", "held"),
    [
        (["ssa.pore=1.2", "ssa.NMC=0.9"], [0, 1]),
        (["ssa.pore>1.2", "ssa.NMC<1.5", "ssa.CBD>0.5"], [0]),
        (["ssa.pore<0.8", "ssa.CBD=1.1"], [0, 2]),
        (["ssa.pore>0.5"], []),
    ],
    ids=str,
)
def test_the_way_leads_to_the_least_mean(targets, held):
    targets = as_targets(targets, PHASES, 0.5)
    rows = [target.index[0] for target in targets]

    def values(m):
        return (1 + MATRIX @ m + 0.1 * (MATRIX @ m) ** 2)[rows]  # slopes are a little off

    *_, (m, found) = descend(values, lambda m, values: MATRIX[rows], targets, np.zeros(4), 20)
    assert misses(found, targets).max() < 1e-3
    # Of all means that have it, the least is a sum of the rows that are held.
    assert np.linalg.matrix_rank(np.vstack([MATRIX[held], m]), tol=1e-3) == len(held)


@pytest.fixture(scope="module")
def source(make_generator, tmp_path_factory):
    generator = make_generator(phases=PHASES, voxel_size=0.5)
    card = {"name": "blocks", "citation": "Nobody", "licence": "MIT", "fidelity": {"porosity": {"real": 1}}}
    card["training"] = {"steps": 3}
    reference = {"phases": list(PHASES), "mean": {"volume_fraction": [0.4, 0.5, 0.1]}}
    return save_preset(generator, tmp_path_factory.mktemp("presets") / "blocks", card, reference)


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr(zoo, "complete", partial(zoo.complete, size=16))


@pytest.fixture(scope="module")
def tuned(source, tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(zoo, "complete", partial(zoo.complete, size=16))
        said = []
        result = tune(source, out=tmp_path_factory.mktemp("tuned") / "more", say=said.append, **WANTED)
    assert len(said) == 1
    assert said[0].startswith("at most about ")
    return result


def test_a_tuned_generator_has_what_is_wanted_and_is_like_any_other(source, tuned, tmp_path):
    generator, before = load_generator(tuned), load_generator(source)
    pore, kept = tuned.measures
    assert pore.change == pytest.approx(0.04, abs=0.025), tuned
    assert abs(kept.change) < 0.03, tuned
    assert tuned.cost == pytest.approx(np.square(tuned.shift).sum() / 2)
    assert tuned.cost > 0
    values = [g.sample(24, seed=2**36).fractions[0] for g in (before, generator)]
    assert values[1] > values[0]
    # The folder holds the shift that the card states.
    for one, other in zip(shifted(before, tuned.shift).get_weights(), generator.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    volume = generator.sample(16, periodic=True, seed=1)
    np.testing.assert_array_equal(
        generator.sample(16, periodic=True, seed=1, offset=(5, 0, 3)).labels, np.roll(volume.labels, (-5, -3), (0, 2))
    )
    generator.stream(tmp_path / "a.zarr", 16, periodic=True, seed=1, progress=False)
    np.testing.assert_array_equal(Volume.load(tmp_path / "a.zarr").labels, volume.labels)
    check_publishable(tuned)
    assert not list(tuned.folder.parent.glob("*.partial"))


def test_the_card_and_volumes_say_what_it_was_tuned_from(source, tuned):
    facts, origin = zoo.info(tuned), load_generator(source).card
    assert facts["name"] == "blocks-tuned"
    assert facts["description"] == "blocks, tuned: fraction.pore=+4%."
    assert "fidelity" not in facts
    assert {key: facts["tuned_from"][key] for key in ("name", "sha256")} == {
        "name": "blocks",
        "sha256": origin["sha256"],
    }
    assert facts["tuning"]["targets"] == ["fraction.pore=+4%", "ssa.NMC=+0%"]
    assert (facts["tuning"]["shift"], facts["tuning"]["cost"]) == (list(tuned.shift), tuned.cost)
    measure = facts["tuning"]["measures"]["fraction.pore=+4%"]
    assert (measure["before"], measure["after"]) == (tuned.measures[0].before, tuned.measures[0].after)
    assert {"granulometry.NMC, balls of 2 voxels", "speck_density.CBD"} <= set(facts["tuning"]["shapes"])
    volume = load_generator(tuned).sample(4, seed=0)
    assert volume.provenance["generator"]["tuned_from"] == facts["tuned_from"]
    text = (tuned.folder / "README.md").read_text("utf-8")
    assert "Tuned from blocks (sha256 of its weights: " in text
    assert f"|m|² / 2 = {tuned.cost:.3g} of information" in text
    assert f"| fraction.pore=+4% | {tuned.measures[0].before:.4g} | {tuned.measures[0].after:.4g} |" in text
    assert "was not compared with it" in text


def test_an_interrupted_tuning_goes_on(source, tuned, tmp_path):
    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "more"
    with pytest.raises(KeyboardInterrupt):
        tune(source, out=out, progress=interrupt, **WANTED)
    journal = tmp_path / "more.partial" / "journal.jsonl"
    assert not out.exists()
    with pytest.raises(ValueError, match="more.partial holds the beginning of other work: another generator, targets"):
        tune(source, out=out, **{**WANTED, "targets": "fraction.pore=+5%"})
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines)[:-9], "utf-8")  # killed while it wrote
    calls = []
    again = tune(source, out=out, progress=lambda *call: calls.append(call), say=calls.append, **WANTED)
    assert (again.shift, again.measures, again.shapes) == (tuned.shift, tuned.measures, tuned.shapes)
    assert calls[-1] == (6, 6)
    assert list(tmp_path.iterdir()) == [out]


def lively(volume):
    """More than half of the pores: a function that has no gradient."""
    return float((volume.labels == 0).mean() + 0.5)


@pytest.mark.peer
def test_what_has_no_gradient_is_met_by_evolution(source, tmp_path):
    pytest.importorskip("cmaes")
    options = {**SMALL, "targets": [("fraction.NMC=+3%"), (lively, "=", "+2%")], "generations": 15}

    def interrupt(done, total):
        if done == 6:
            raise KeyboardInterrupt

    results = []
    for name, progress in (("one", None), ("other", interrupt), ("other", None)):
        try:
            results.append(tune(source, out=tmp_path / name, progress=progress, **options))
        except KeyboardInterrupt:
            assert progress
    one, other = results
    assert (one.shift, one.measures) == (other.shift, other.measures)
    assert [row.target for row in one.measures] == ["fraction.NMC=+3%", "lively=+2%"]
    assert all(row.change > 0 for row in one.measures), one


def test_evolution_needs_its_library(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(ValueError, match=r"needs cmaes: pip install 'kerasgan3d\[tune\]'"):
        tune(source, "active_tpb>1", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_wishes_of_a_tuned_generator_are_about_its_own_mean(make_generator, tmp_path):
    generator = make_generator(phases=PHASES, conditions=CONDITIONS)
    result = tune(generator, "fraction.pore=+4%", tmp_path / "told", **SMALL)
    found = load_generator(result).conditions
    after = [result.shapes[f"volume_fraction.{phase}"]["after"] for phase in PHASES]
    np.testing.assert_allclose(found.mean, after, rtol=1e-6)
    assert len(result.shift) == 8
    assert replace(found, mean=CONDITIONS.mean, shift=CONDITIONS.shift) == CONDITIONS


WRONG = {
    "no target": ({"targets": []}, "`targets` must be one or more"),
    "another phase": ({"targets": "ssa.Ni>1"}, "a target of ssa must be one of ssa.pore"),
    "not kept": ({"keep": "fraction"}, "`keep` must name other things than the targets"),
    "no share": ({"targets": "fraction.pore=1.5"}, "fraction.pore must be from 0 to 1. Received: fraction.pore=1.5"),
    "too much": ({"targets": ["fraction.pore=0.7", "fraction.NMC=0.5"]}, "must add up to at most 1. Received: 1.2"),
    "no period": ({"size": 18}, "`size` must be a multiple of 4 along periodic axes"),
    "none": ({"count": 0}, "`count` must be an integer from 1 to 4096"),
    "no steps": ({"steps": 0}, "`steps` must be a positive integer"),
    "another seed": ({"seed": 2**16}, "`seed` must be an integer from 0 to 65535"),
    "no name": ({"name": " "}, "`name` must be a text"),
    "a number": ({"judge_size": 0}, "`judge_size` must be a positive integer"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=list(WRONG))
def test_mistakes_are_told_before_anything_is_computed(source, tmp_path, monkeypatch, change, message):
    monkeypatch.setattr(Generator, "sample", None)
    with pytest.raises(ValueError, match=message):
        tune(source, out=tmp_path / "out", **{**WANTED, **change})
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_there_stay(source, tuned, tmp_path):
    before = {path: path.read_bytes() for path in tuned.folder.iterdir()}
    with pytest.raises(FileExistsError, match="more exists already; choose another name"):
        tune(source, out=tuned.folder, **WANTED)
    with pytest.raises(ValueError, match="`out` must be another folder than the source's"):
        tune(source, out=source, overwrite=True, **WANTED)
    with pytest.raises(FileNotFoundError, match="the folder to make out in must exist"):
        tune(source, out=tmp_path / "no" / "out", **WANTED)
    assert {path: path.read_bytes() for path in tuned.folder.iterdir()} == before


def test_what_the_source_has_not_cannot_be_tuned(source, tmp_path):
    with pytest.raises(
        ValueError, match=r"tau.CBD.z must have a mean to be tuned. Received: none of [12] of 2 volumes"
    ):
        tune(source, "tau.CBD.z=5", tmp_path / "out", size=16, count=2)
    assert list(tmp_path.iterdir()) == []


def test_the_command_tunes(source, tuned, tmp_path):
    said = ["tune", str(source), "--target", "fraction.pore=+4%", "--keep", "ssa.NMC", "--size", "16", "--count", "3"]
    said += ["--steps", "3", "--no-classifier", "-o", str(tmp_path / "more")]
    result = CliRunner().invoke(main, [*said, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(json.dumps({**tuned.to_dict(), "folder": str(tmp_path / "more")}))
    again = CliRunner().invoke(main, said)
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--target", "ssa.Ni>1"), "a target of ssa must be one of ssa.pore, ssa.NMC, ssa.CBD. Received: 'ssa.Ni'"),
        (("--target", "fraction.pore=40%"), "or a change of the mean with its sign"),
        (("--target", "tpb=+5%", "--keep", "size"), "a target must be of a measure: fraction, "),
        ((), "Missing option '--target'"),
    ],
)
def test_the_command_refuses_in_one_line(source, tmp_path, more, message):
    result = CliRunner().invoke(main, ["tune", str(source), "-o", str(tmp_path / "out"), *more])
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
