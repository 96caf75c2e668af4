"""Volumes made again from their provenance: the same voxels, where they differ, and who has the weights."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d import Volume, io, zoo
from kerasgan3d.cli import main
from kerasgan3d.folder import read_json, write_json
from kerasgan3d.models.preset import load_preset, save_preset
from kerasgan3d.sampling import Conditions
from kerasgan3d.sampling.job import SamplingJob
from kerasgan3d.sampling.scan import Scan
from kerasgan3d.zoo import loading, reproduce, reproducing
from kerasgan3d.zoo.versions import Version, told_version, versions

PHASES = ("pore", "NMC", "CBD")
CONDITIONS = {
    "mean": [0.4, 0.5, 0.1],
    "deviation": [0.05, 0.045, 0.012],
    "root": [[0.8, -0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]],
    "taps": [[1.0], [1.0], [1.0]],
    "lowest": [0.25, 0.3, 0.05],
    "highest": [0.6, 0.65, 0.15],
    "gain": [1.0, 1.0, 1.0],
    "shift": [0.0, 0.0, 0.0],
}
JOBS = {
    "an open window": (".tif", {"size": (12, 9, 10), "offset": (-3, 5, 1)}),
    "a periodic one": (".zarr", {"size": (8, 12, 9), "periodic": "zy", "offset": (1, 0, 0)}),
    "a blend": (".npy", {"size": 12, "blend": (8, {"x": [0, 0.4, 1]})}),
    "requested fractions": (".vti", {"size": 10, "fractions": {"pore": [0.3, 0.5]}}),
    "fractions beyond": (".tif", {"size": 8, "fractions": {"CBD": 0.3}, "beyond": True}),
}


@pytest.fixture(scope="module")
def folder(make_generator, tmp_path_factory):
    """The folder of a generator that takes fractions; not to be changed."""
    generator = make_generator(phases=PHASES, voxel_size=0.5, conditions=Conditions.from_json(CONDITIONS))
    return save_preset(generator, tmp_path_factory.mktemp("made") / "cathode", {"name": "cathode", "version": "2"})


@pytest.fixture(scope="module")
def generator(folder):
    return load_preset(folder)


@pytest.fixture
def ships(folder, monkeypatch):
    """Let that generator ship, as version 2."""
    monkeypatch.setattr(loading, "_SHIPPED", folder.parent)
    known = (Version("1", "1" * 64, kerasgan3d="0.0.9"), Version("0", "0" * 64, repo="org/old", revision="ab12"))
    monkeypatch.setattr(reproducing, "versions", lambda name: known if name == "cathode" else ())
    monkeypatch.setattr("kerasgan3d.zoo.versions.versions", lambda name: known if name == "cathode" else ())


def changed(volume, **changes):
    """The volume with another provenance; None takes a fact away."""
    facts = {**volume.provenance, **changes}
    facts = {key: value for key, value in facts.items() if value is not None}
    return Volume(volume.labels, volume.phases, volume.voxel_size, volume.periodic, facts)


@pytest.mark.parametrize("name", JOBS)
def test_what_a_file_states_is_made_again(ships, generator, tmp_path, name):
    suffix, options = JOBS[name]
    path, again = tmp_path / f"volume{suffix}", tmp_path / "again.tif"
    volume = generator.sample(seed=7, **options)
    volume.save(path)
    found = reproduce(path, again)
    assert found.same
    assert str(found) == "the same voxels"
    assert found.generator == {"name": "cathode", "version": "2", "sha256": generator.card["sha256"]}
    assert (found.job.seed, found.path) == (7, again)
    made = Volume.load(again)
    assert made.equals(volume)
    assert made.provenance == volume.provenance


@pytest.mark.parametrize("output", [None, "again.zarr"])
def test_volumes_that_memory_does_not_hold_are_made_part_by_part(ships, generator, tmp_path, monkeypatch, output):
    monkeypatch.setattr(reproducing, "open_volume", partial(io.open_volume, in_memory=0))
    monkeypatch.setattr(reproducing, "parts", lambda size, tile: io.blocks(size, (128, 128, 5)))
    path = tmp_path / "volume.tif"
    generator.stream(path, (6, 8, 13), seed=3, blend=(4, 0.5))
    told = []
    output = output and tmp_path / output
    found = reproduce(path, output, progress=lambda done, total: told.append(done / total))
    assert found.same
    assert found.volume is None
    assert told[-1] == 1
    if output:
        assert Volume.load(output).equals(Volume.load(path))
    labels = Volume.load(path).labels.copy()
    labels[[1, 5, 5], [2, 0, 7], [12, 3, 4]] = (labels[[1, 5, 5], [2, 0, 7], [12, 3, 4]] + 1) % 3
    changed_one = tmp_path / "changed.tif"
    before = Volume.load(path)
    Volume(labels, before.phases, before.voxel_size, before.periodic, before.provenance).save(changed_one)
    found = reproduce(changed_one)
    assert (found.differing, found.first, found.box) == (3, (1, 2, 12), ((1, 6), (0, 8), (3, 13)))
    assert str(found) == (
        "3 of 624 voxels differ, the first at (1, 2, 12) (z, y, x), all of them in z 1:6, y 0:8, x 3:13: "
        "the file was changed after it was made"
    )


def test_another_version_of_the_package_is_named(ships, generator):
    volume = changed(generator.sample(5, seed=0), kerasgan3d="0.0.3")
    assert reproduce(volume).same
    other = Volume((volume.labels + 1) % 3, PHASES, 0.5, provenance=volume.provenance)
    assert f"kerasgan3d 0.0.3 made it, and this is {kerasgan3d.__version__}" in str(reproduce(other))


def test_a_commit_on_the_hub_is_pulled(hub, client, small_files, small_preset, tmp_path):
    commit = hub.add("org/blocks", small_files)
    zoo.load_generator("org/blocks").sample(9, seed=4).save(tmp_path / "blocks.zarr")
    hub.add("org/blocks", {"model.weights.h5": b"other weights"})
    shutil.rmtree(client.home)
    found = reproduce(tmp_path / "blocks.zarr")
    assert found.same
    assert (found.generator["repo"], found.generator["revision"]) == ("org/blocks", commit)
    stolen = changed(Volume.load(tmp_path / "blocks.zarr"), generator={**found.generator, "sha256": "5" * 64})
    with pytest.raises(ValueError, match=f"org/blocks@{commit} does not hold the weights that made the volume, 5555"):
        reproduce(stolen)


def test_a_trained_or_tuned_generator_is_given(generator, folder, small_preset):
    volume = generator.sample(8, seed=1)
    assert reproduce(volume, generator=folder).same
    assert reproduce(volume, generator=generator).same
    with pytest.raises(ValueError, match="`generator` must have the weights that made the volume, .* Received: "):
        reproduce(volume, generator=small_preset)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"seed": None}, "does not state how it was generated: its provenance has no seed"),
        ({"history": [{"roll": [1, 0, 0]}]}, "was changed after it was generated .*roll.* Give the volume that it was"),
        ({"scan": {"sha256": "ab"}}, "continues a scan, .* Pass the SamplingJob as `job`"),
        ({"generator": "cathode"}, "must state its generator as kerasgan3d does. Received: 'cathode'"),
        ({"generator": {"name": 5}}, "must state its generator as kerasgan3d does"),
        ({"generator": None}, "a generator without a name, whose weights its provenance does not state. Pass a folder"),
        ({"generator": {"name": "mine", "sha256": "5" * 64}, "kerasgan3d": "0.0.3"}, "made with kerasgan3d '0.0.3'"),
        ({"generator": {"name": "a", "sha256": "5" * 64, "tuned_from": {"name": "b"}}}, "It was tuned from 'b'."),
        ({"generator": {"name": "a", "repo": "org/a", "revision": "../x"}}, "must be a branch, a tag or a commit"),
        ({"seed": -1}, "does not state a volume of its generator: `seed` must be"),
        ({"offset": [0.5, 0, 0]}, "does not state a volume of its generator: `offset` must be"),
        ({"blend": {"seed": 2, "t": [[[0.5, 0.2, 0.1]]]}}, "does not state a volume of its generator: .*lattice steps"),
        ({"conditions": {"fractions": [[[[0.5, 0.5]]]]}}, r"fractions from 0 to 1 as \[z\]\[y\]\[x\]\[3\]"),
        ({"conditions": {"fractions": [[[["a"]]]]}}, r"fractions from 0 to 1 as \[z\]\[y\]\[x\]\[3\]"),
        ({"conditions": 3}, "`conditions` must be a dict or None. Received: 3"),
    ],
    ids=str,
)
def test_what_does_not_suffice_is_told_in_a_line(ships, generator, facts, message):
    volume = generator.sample(8, seed=1)
    with pytest.raises(ValueError, match=message):
        reproduce(changed(volume, **facts))


def test_other_phases_are_refused(ships, generator):
    volume = generator.sample(5, seed=1)
    other = Volume(volume.labels, ("a", "b", "c"), provenance=volume.provenance)
    with pytest.raises(ValueError, match="must have the phases of its generator, pore, NMC, CBD. Received: a, b, c"):
        reproduce(other)


@pytest.mark.parametrize(
    ("digest", "version", "place"),
    [
        ("1" * 64, "1", r"They are in kerasgan3d 0.0.9 \(pip install kerasgan3d==0.0.9\)\."),
        ("0" * 64, "0", "They are in org/old@ab12 on the Hub."),
        ("7" * 64, "3", "The volume was made with kerasgan3d '9.9'."),
    ],
)
def test_who_has_the_weights_of_another_version_is_told(ships, generator, digest, version, place):
    origin = {"name": "cathode", "version": version, "sha256": digest}
    with pytest.raises(ValueError, match=f"cathode, version {version}, .* ships here in version 2. {place}"):
        reproduce(changed(generator.sample(5, seed=1), generator=origin, kerasgan3d="9.9"))


def test_a_continued_scan_is_made_again_with_its_job(ships, generator):
    scan = Scan(generator.sample((8, 8, 8), seed=9).labels, [[1, 1, 2]], [[0.5] * generator.input_channels])
    job = generator.job(SamplingJob((8, 8, 14), seed=2, scan=scan))
    volume = generator.sample(job)
    assert reproduce(volume, job=job).same
    assert volume.provenance["scan"]["sha256"] == job.scan.digest
    other = replace(job, seed=3, scan=Scan(scan.labels, scan.points, scan.values + 1))
    with pytest.raises(ValueError, match="`job` must be that of the volume. Received: seed 3, not 2; scan '"):
        reproduce(volume, job=other)


def test_a_shipped_generator_is_asked_for_by_its_version(ships, small_preset):
    assert kerasgan3d.load_generator("cathode", revision="2").card["version"] == "2"
    assert zoo.info("cathode", revision="2")["version"] == "2"
    for revision, place in {
        "1": r"Version 1 is in kerasgan3d 0.0.9 \(pip install kerasgan3d==0.0.9\)\.",
        "0" * 64: "Version 0 is in org/old@ab12 on the Hub.",
        "main": "Other versions come with other releases of kerasgan3d, or from the Hub as org/name with a revision.",
    }.items():
        with pytest.raises(ValueError, match=f"cathode ships here in version 2. {place} Received: '{revision}'"):
            kerasgan3d.load_generator("cathode", revision=revision)
    assert "in a version without a number" in told_version("cathode", "1", None)
    with pytest.raises(ValueError, match="`revision` must be None for a shipped generator or a folder"):
        kerasgan3d.load_generator(small_preset, revision="2")


def test_the_version_of_a_loaded_generator_is_not_that_of_other_weights(folder, tmp_path):
    generator = load_preset(folder)
    generator.convolutions[0].kernel.assign(2 * generator.convolutions[0].kernel)
    assert "version" not in load_preset(save_preset(generator, tmp_path / "other")).card
    assert load_preset(save_preset(generator, tmp_path / "other", {"version": "3"})).card["version"] == "3"


@pytest.mark.parametrize("version", ["", "v 1", "x" * 41, 2, "-1", "../1"])
def test_a_version_is_a_short_text(folder, tmp_path, version):
    copy = shutil.copytree(folder, tmp_path / "copy")
    write_json({**read_json(copy / "kerasgan3d.json"), "version": version}, copy / "kerasgan3d.json")
    with pytest.raises(ValueError, match="must give at most 40 letters, digits, dots and dashes as 'version'"):
        kerasgan3d.load_generator(copy)


def test_the_command_tells_what_came_of_it(ships, generator, tmp_path):
    path, again = tmp_path / "volume.tif", tmp_path / "again.tif"
    volume = generator.sample(6, seed=5)
    volume.save(path)

    def run(*args):
        return CliRunner().invoke(main, ["reproduce", *map(str, args)], catch_exceptions=False)

    result = run(path, "-o", again)
    assert result.exit_code == 0
    facts = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    assert facts[0] == ["generator", "cathode"]
    assert facts[-2:] == [["wrote", str(again)], ["result", "the same voxels"]]
    result = run(path, "-o", again)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    labels = volume.labels.copy()
    labels[2, 3, 4] = (labels[2, 3, 4] + 1) % 3
    Volume(labels, PHASES, 0.5, provenance=volume.provenance).save(path)
    result = run(path, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (told["same"], told["differing"], told["first"], told["seed"]) == (False, 1, [2, 3, 4], 5)
    Volume(labels, PHASES, 0.5, provenance={"seed": 1}).save(path)
    result = run(path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "Pass a folder, or org/name on the Hub, as `generator` (--generator)." in result.stderr


def test_the_generators_that_ship_have_a_version_that_the_changelog_names():
    changelog = Path(__file__).parent.parent / "CHANGELOG.md"
    text = changelog.read_text("utf-8") if changelog.is_file() else None
    for name in zoo.list_presets():
        facts, latest = zoo.info(name), versions(name)[-1]
        assert (latest.version, latest.sha256) == (facts["version"], facts["weights"]["sha256"])
        assert len({entry.version for entry in versions(name)}) == len(versions(name))
        for entry in versions(name):
            assert entry.place
            assert text is None or f"| `{name}` | {entry.version} | `{entry.sha256[:12]}` |" in text
    assert versions("nobody") == ()


@pytest.mark.parametrize("suffix", [".zarr", ".tif"])
def test_the_file_itself_is_not_overwritten(ships, generator, tmp_path, monkeypatch, suffix):
    path = tmp_path / f"v{suffix}"
    generator.stream(path, 8, seed=1, progress=False)
    monkeypatch.setattr(reproducing, "open_volume", partial(io.open_volume, in_memory=0))
    with pytest.raises(ValueError, match="`output` must be another file than the one that is made again"):
        reproduce(path, path, overwrite=True)
    assert (Volume.load(path).labels == generator.sample(8, seed=1).labels).all()


def test_other_conditions_make_another_generator(generator):
    conditions = replace(generator.conditions, shift=(0.01, 0.0, -0.01))
    card = generator.with_conditions(conditions).card
    assert {"version", "sha256"} & set(card) == set()
    assert generator.with_conditions(generator.conditions).card == generator.card


def test_a_stream_goes_on_where_the_card_says_more_than_it_did(folder, tmp_path):
    before, now = load_preset(folder), load_preset(folder)
    before.card = {key: value for key, value in before.card.items() if key != "version"}
    path, job = tmp_path / "v.zarr", {"size": (8, 8, 24), "seed": 1, "tile": 8}

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        before.stream(path, **job, progress=stop)
    assert (tmp_path / "v.zarr.partial").is_dir()
    now.stream(path, **job, progress=False)
    assert (Volume.load(path).labels == now.sample((8, 8, 24), seed=1).labels).all()
