"""Targets by name, and windows of the endless structure ranked by them."""

import csv
import json
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d import Volume, load_generator, measure
from kerasgan3d.cli import main
from kerasgan3d.models.preset import save_preset
from kerasgan3d.sampling import Conditions
from kerasgan3d.steering import search
from kerasgan3d.steering.targets import as_kept, as_targets, measured

PHASES = ("pore", "Ni-YSZ", "a.b")
TARGETS = ["ssa.a.b>1", "D_rel.pore.z=0.2"]


@pytest.fixture(scope="module")
def generator(make_generator):
    return make_generator(phases=PHASES, voxel_size=0.5)


@pytest.fixture(scope="module")
def volume():
    return Volume(np.random.default_rng(0).choice(3, (8, 9, 10), p=(0.6, 0.3, 0.1)), PHASES, 0.5, "yx")


# What a target is called, and where its number stands in a record.
NAMES = {
    "fraction.pore": ("volume_fraction", 0),
    "volume_fraction.a.b": ("volume_fraction", 2),
    "ssa.Ni-YSZ": ("specific_surface_area", 1),
    "specific_surface_area_marching_cubes.pore": ("specific_surface_area_marching_cubes", 0),
    "interface.a.b.pore": ("interfacial_area", (2, 0)),
    "interface.pore-Ni-YSZ": ("interfacial_area", (0, 1)),
    "tpb": ("triple_phase_boundary_density", ()),
    "active_tpb": ("active_triple_phase_boundary_density", ()),
    "active tpb": ("active_triple_phase_boundary_density", ()),
    "chord.pore.x": ("mean_chord_length", (0, 2)),
    "chord.Ni-YSZ": ("mean_chord_length", 1),
    "connected.pore.y": ("connected_fraction", (0, 1)),
    "D_rel.pore.z": ("relative_diffusivity", (0, 0)),
    "D_rel.pore": ("relative_diffusivity", 0),
    "tau.pore.y": ("tortuosity_factor", (0, 1)),
    "macmullin.pore.x": ("macmullin_number", (0, 2)),
    "tau.a.b.z": ("tortuosity_factor", (2, 0)),
    "euler.a.b": ("euler_characteristic", 2),
    "specks.pore": ("speck_density", 0),
    "holes.pore": ("hole_density", 0),
}


def test_what_is_measured_is_what_a_record_says(volume):
    record = measure(volume)
    targets = as_targets([f"{name}=0" for name in NAMES], PHASES, 0.5)
    expected = [np.mean(np.asarray(record[key])[index]) for key, index in NAMES.values()]
    np.testing.assert_allclose(measured(volume, targets), expected, rtol=1e-12)


def test_only_what_targets_need_is_measured(volume, monkeypatch):
    solved = []
    monkeypatch.setattr(
        "kerasgan3d.steering.targets.relative_diffusivity", lambda volume, *where: solved.append(where) or 0.5
    )
    for key in ("granulometry", "two_point_correlation", "mean_chord_length"):
        monkeypatch.delitem(kerasgan3d.metrics.registry.MEASURES, key)
    assert measured(volume, as_targets(["D_rel.pore.z>0", "tau.pore.z<9"], PHASES, 0.5))[0] == 0.5
    assert solved == [(0, 0)]


@pytest.mark.parametrize(
    ("target", "text", "wanted"),
    [
        ("tpb=+15%", "tpb=+15%", 2.3),
        ("tpb < -5 %", "tpb<-5%", 1.9),
        ("tpb>3", "tpb>3", 3),
        ((len, "=", "+50%"), "len=+50%", 3),
    ],
)
def test_a_relative_target_is_of_a_mean(target, text, wanted):
    (found,) = as_targets([target], PHASES, 0.5)
    assert str(found) == text
    assert found.of_mean(2.0).wanted == pytest.approx(wanted)
    assert not found.of_mean(2.0).relative


def test_what_is_kept_is_every_number_of_a_measure():
    targets = as_targets("D_rel.pore.z=+15%", PHASES, 0.5)
    kept = as_kept(["volume_fraction", "interface", "D_rel.pore.x", "chord", "tpb"], targets, PHASES, 0.5)
    assert [target.index for target in kept[:3]] == [(0,), (1,), (2,)]
    assert sorted(tuple(sorted(target.index)) for target in kept[3:6]) == [(0, 1), (0, 2), (1, 2)]
    assert [target.index for target in kept[6:]] == [(0, 2), (0, None), (1, None), (2, None), ()]
    assert {(target.relation, target.wanted, target.relative) for target in kept} == {("=", 0, True)}


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("porosity", "must be of a measure: fraction, .* Received: 'porosity'"),
        ("ssa.Ni", "a target of ssa must be one of ssa.pore"),
        ("fraction=0.3", "must be of a measure"),
        ([3], "`keep` must be names of measures, .* Received: 3"),
        ("interface", "`keep` must name other things than the targets, .*: interface.*, and interface.a.b.pore"),
        (["tpb", "triple_phase_boundary_density"], "each once. Received: triple_phase_boundary_density, and tpb"),
    ],
)
def test_what_cannot_be_kept_is_refused(keep, message):
    with pytest.raises(ValueError, match=message):
        as_kept(keep, as_targets("interface.a.b.pore=+10%", PHASES, 0.5), PHASES, 0.5)


@pytest.mark.parametrize(
    ("text", "relation", "wanted"),
    [("tpb=1", "=", 1), (" tpb > 1e-2 ", ">", 0.01), ("tpb<-3", "<", -3)],
)
def test_a_target_is_a_name_a_relation_and_a_number(text, relation, wanted):
    (target,) = as_targets(text, PHASES, 0.5)
    assert (target.name, target.relation, target.wanted) == ("tpb", relation, wanted)


WRONG = {
    "nothing": ([], PHASES, "`targets` must be one or more, .* Received: none"),
    "no relation": ("tpb", PHASES, "must be a measure, =, < or >, and a number, .* Received: 'tpb'"),
    "no number": ("tpb=much", PHASES, "must be a measure, =, < or >, and a number"),
    "not finite": ("tpb>nan", PHASES, "must be a measure, =, < or >, and a number"),
    "a change without a sign": ("tpb=15%", PHASES, "or a change of the mean with its sign, such as D_rel.pore.z=.15%"),
    "a function's change": ([(len, "=", "15%")], PHASES, "must be a number, or a change such as .*Received: '15%'"),
    "another relation": ("tpb>=1", PHASES, "must be a measure, =, < or >, and a number"),
    "another measure": ("size.pore=1", PHASES, "must be of a measure: fraction, ssa, .*Received: 'size'"),
    "a curve": ("granulometry.pore=1", PHASES, "must be of a measure: fraction, ssa"),
    "another phase": ("ssa.Ni>1", PHASES, r"one of ssa.pore, ssa.Ni-YSZ, ssa.a.b. Received: 'ssa.Ni'"),
    "no phase": ("ssa>1", PHASES, "one of ssa.pore, "),
    "another axis": ("D_rel.pore.w=1", PHASES, "one of D_rel.pore, .*D_rel.a.b.x. Received: 'D_rel.pore.w'"),
    "no pair": ("interface.pore.pore=1", PHASES, "one of interface.pore.Ni-YSZ, .*interface.a.b.Ni-YSZ. Rec"),
    "two phases": ("tpb=1", PHASES[:2], "tpb needs three phases. Received: a generator of 2, pore, Ni-YSZ"),
    "twice": (["tpb>1", "tpb<2"], PHASES, "must be of different things. Received: tpb>1, tpb<2"),
    "neither": ([3], PHASES, "must be a text, or .function, relation, number.. Received: 3"),
    "a function's relation": ([(len, "~", 3)], PHASES, "relation must be =, < or >. Received: '~'"),
}


@pytest.mark.parametrize(("targets", "phases", "message"), WRONG.values(), ids=list(WRONG))
def test_targets_that_are_none_are_refused(targets, phases, message):
    with pytest.raises(ValueError, match=message):
        as_targets(targets, phases, 0.5)


def test_units_need_a_voxel_size():
    with pytest.raises(ValueError, match="ssa is in 1/µm and needs a voxel size"):
        as_targets("ssa.pore>1", PHASES, None)
    assert as_targets("fraction.pore>1", PHASES, None)


@pytest.fixture(scope="module")
def found(generator):
    return search(generator, TARGETS, 8, 12, seed=3, offset=(5, 0, -2))


def test_every_window_is_what_its_job_samples(generator, found):
    for window in found.windows[:3]:
        job = window.job
        again = generator.sample(8, seed=3, offset=job.offset)
        np.testing.assert_array_equal(generator.sample(job).labels, again.labels)
        record = measure(again)
        assert window.values[0] == record.specific_surface_area[2]
        assert window.values[1] == pytest.approx(record.relative_diffusivity[0, 0])


def test_windows_share_no_latents_and_do_not_depend_on_how_many_there_are(generator, found):
    spans = sorted((w.job.plan.cells(2), w.number) for w in found.windows)
    for ((_, end), number), ((start, _), after) in zip(spans, spans[1:], strict=False):
        assert after == number + 1
        assert start - end >= sum(generator.margin)
    fewer = search(generator, TARGETS, 8, 5, seed=3, offset=(5, 0, -2))
    first = {w.number: (w.values, w.job) for w in found.windows if w.number < 5}
    assert {w.number: (w.values, w.job) for w in fewer.windows} == first


def test_ranks_are_those_of_the_misses(found):
    values = np.array([window.values for window in found.windows])
    misses = np.stack([np.maximum(1 - values[:, 0], 0), np.abs(values[:, 1] - 0.2)], 1) / values.std(0)
    np.testing.assert_allclose([w.score for w in found.windows], np.sqrt((misses**2).mean(1)))
    assert [w.score for w in found.windows] == sorted(w.score for w in found.windows)
    np.testing.assert_allclose(found.deviations(found.best), (values[0] - values.mean(0)) / values.std(0))


def test_of_windows_that_miss_nothing_the_farthest_comes_first(generator):
    found = search(generator, "fraction.pore<2", 8, 6, seed=3)
    assert {w.score for w in found.windows} == {0}
    values = [w.values[0] for w in found.windows]
    assert values == sorted(values)


def test_what_does_not_exist_or_conduct_comes_last(generator):
    values = iter([np.inf, 3.0, np.nan, 1.0])

    def drawn(volume):
        return next(values)

    found = search(generator, [(drawn, ">", 2)], 4, 4)
    assert [w.number for w in found.windows] == [1, 3, 0, 2]
    assert (found.targets[0].name, found.best.score) == ("drawn", 0)
    assert json.dumps(found.to_dict()["windows"][-1]["values"]) == '{"drawn": null}'


def test_periodic_windows_are_of_one_seed_after_the_other(generator):
    found = search(generator, "fraction.pore=0.5", 8, 3, seed=7, periodic=True)
    assert sorted(w.job.seed for w in found.windows) == [7, 8, 9]
    assert all(w.job.periodic == (True,) * 3 for w in found.windows)


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_grows_and_is_gone_on_with(generator, found, tmp_path, monkeypatch):
    path, where = tmp_path / "found.csv", {"seed": 3, "offset": (5, 0, -2), "out": tmp_path / "found.csv"}

    def interrupt(done, total):
        if done == 5:
            assert [row["rank"] for row in rows(path)] == [""] * 5
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(generator, TARGETS, 8, 12, progress=interrupt, **where)
    text = path.read_text("utf-8")
    path.write_text(text[:-9], "utf-8")  # killed while it wrote
    sampled, calls = [], []
    sample = generator.sample
    monkeypatch.setattr(generator, "sample", lambda job: sampled.append(job) or sample(job), raising=False)
    again = search(generator, TARGETS, 8, 12, progress=lambda *call: calls.append(call), **where)
    assert (len(sampled), calls[-1]) == (8, (12, 12))
    assert again.windows == found.windows
    table = rows(path)
    assert [int(row["window"]) for row in table] == [w.number for w in found.windows]
    assert [float(row["ssa.a.b"]) for row in table] == [w.values[0] for w in found.windows]
    assert [row["rank"] for row in table[:2]] == ["1", "2"]
    assert [row["x"] for row in table] == [str(w.job.offset[2]) for w in found.windows]
    # Other numbers, and more windows, of the same measures.
    more = search(generator, ["ssa.a.b<1", "D_rel.pore.z>0"], 8, 14, **where)
    assert (len(sampled), len(more.windows), len(rows(path))) == (10, 14, 14)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "targets"),
    [({"seed": 4}, TARGETS), ({"periodic": True}, TARGETS), ({}, TARGETS[::-1]), ({"size": 9}, TARGETS)],
    ids=["seed", "periodic", "measures", "size"],
)
def test_a_table_of_another_search_is_refused_or_replaced(generator, tmp_path, change, targets):
    path = tmp_path / "found.csv"
    search(generator, TARGETS, size=8, count=1, out=path)
    before = path.read_text("utf-8")
    with pytest.raises(ValueError, match="found.csv holds something else than this search"):
        search(generator, targets, **{"size": 8, "count": 1, "out": path, **change})
    assert path.read_text("utf-8") == before
    search(generator, targets, **{"size": 8, "count": 1, "out": path, "overwrite": True, **change})
    assert path.read_text("utf-8") != before


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\xff\xfe", b""], ids=["other", "no text", "empty"])
def test_what_is_no_table_is_left_as_it_is(generator, tmp_path, content):
    path = tmp_path / "found.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="holds something else"):
        search(generator, TARGETS, 8, 1, out=path)
    assert path.read_bytes() == content


def test_workers_find_the_same(generator, found):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(1, processes=False, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        again = search(generator, TARGETS, 8, 12, seed=3, offset=(5, 0, -2), client=client)
    assert again == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "`count` must be a positive integer"),
        ({"workers": 0}, "`workers` must be a positive integer"),
        ({"size": 0}, "`size` must be a positive integer"),
        ({"out": "found.txt"}, "a table must be a .csv file. Received: found.txt"),
        ({"count": 2, "offset": (0, 0, 4 * (2**31 - 6) - 2)}, "the latent field has indices"),
    ],
)
def test_mistakes_are_told_before_anything_is_computed(generator, change, message):
    with pytest.raises(ValueError, match=message):
        search(generator, TARGETS, **{"size": 8, "count": 1, **change})


@pytest.fixture(scope="module")
def preset(generator, tmp_path_factory):
    return save_preset(generator, tmp_path_factory.mktemp("presets") / "three", {"name": "three"})


def test_the_command_ranks_and_says_how_to_sample_the_best(preset, generator, tmp_path):
    said = ["search", str(preset), "--size", "8", "--count", "4", "--target", "fraction.pore>0.3"]
    result = CliRunner().invoke(main, [*said, "--top", "2", "-o", str(tmp_path / "found.csv")])
    assert result.exit_code == 0, result.output
    found = search(generator, "fraction.pore>0.3", 8, 4)
    assert len([line for line in result.stdout.splitlines() if line.endswith(tuple("0123456789"))]) >= 2
    command = shlex.split(next(line for line in result.stdout.splitlines() if line.startswith("sample it"))[9:])
    best = tmp_path / "best.npy"
    assert CliRunner().invoke(main, [*command[1:-1], str(best)]).exit_code == 0
    np.testing.assert_array_equal(Volume.load(best).labels, generator.sample(found.best.job).labels)
    again = CliRunner().invoke(main, [*said, "-o", str(tmp_path / "found.csv"), "--json"])
    record = json.loads(again.stdout)
    assert record["windows"] == found.to_dict()["windows"]
    assert record["sample"] == shlex.join(command)


@pytest.fixture(scope="module")
def conditional(make_generator, tmp_path_factory):
    conditions = Conditions(
        mean=(0.4, 0.5, 0.1),
        deviation=(0.05, 0.045, 0.012),
        root=((0.8, -0.6, 0.0), (-0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
        taps=((1.0,),) * 3,
        lowest=(0.25, 0.3, 0.05),
        highest=(0.6, 0.65, 0.15),
        gain=(1.0,) * 3,
        shift=(0.0,) * 3,
    )
    generator = make_generator(phases=PHASES, conditions=conditions)
    return save_preset(generator, tmp_path_factory.mktemp("presets") / "told", {"name": "told"})


def test_windows_of_a_wish_are_searched(conditional, tmp_path):
    said = ["search", str(conditional), "--size", "8", "--count", "3", "--target", "fraction.pore>+1%", "--json"]
    wish = ["--fraction", "pore=x:0.1:0.55", "--fraction", "a.b=0.1", "--beyond"]
    result = CliRunner().invoke(main, [*said, *wish, "-o", str(tmp_path / "found.csv")])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    generator = load_generator(conditional)
    options = {"fractions": {"pore": {"x": [0.1, 0.55]}, "a.b": 0.1}, "beyond": True}
    found = search(generator, "fraction.pore>+1%", 8, 3, **options)
    assert record["windows"] == found.to_dict()["windows"]
    expected = generator.sample(8, seed=0, offset=found.best.job.offset, **options)
    np.testing.assert_array_equal(generator.sample(found.best.job).labels, expected.labels)
    command = shlex.split(record["sample"])
    assert CliRunner().invoke(main, [*command[1:-1], str(tmp_path / "best.npy")]).exit_code == 0
    np.testing.assert_array_equal(Volume.load(tmp_path / "best.npy").labels, expected.labels)
    other = CliRunner().invoke(main, [*said, "-o", str(tmp_path / "found.csv")])
    assert (other.exit_code, "holds something else than this search" in other.stderr) == (2, True)
    # What is wanted relative to the mean is told by the mean of these windows.
    values = np.array([w.values[0] for w in found.windows])
    misses = np.maximum(values.mean() * 1.01 - values, 0) / values.std()
    np.testing.assert_allclose([w.score for w in found.windows], misses)


@pytest.mark.parametrize(
    ("source", "wish", "message"),
    [
        ("conditional", ("pore=0.9",), "`fractions` must be within what the generator has learned of pore"),
        (
            "conditional",
            ("pore=0.4", "pore=0.5"),
            "volume fractions must name each phase once. Received: pore twice",
        ),
        ("preset", ("pore=0.4",), "`fractions` need a generator that was trained on local volume fractions"),
    ],
)
@pytest.mark.parametrize("command", ["search", "interpolate"])
def test_wishes_that_cannot_be_are_refused(request, tmp_path, source, wish, message, command):
    said = [command, str(request.getfixturevalue(source)), "--size", "8"]
    said += (
        ["--target", "fraction.pore=1"]
        if command == "search"
        else ["--seeds", "1", "2", "-o", str(tmp_path / "frames")]
    )
    result = CliRunner().invoke(main, [*said, *(word for part in wish for word in ("--fraction", part))])
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_frames_have_what_is_wished(conditional, tmp_path):
    said = ["interpolate", str(conditional), "--seeds", "1", "2", "--frames", "2", "--size", "8"]
    result = CliRunner().invoke(main, [*said, "--fraction", "pore=0.3:0.5", "-o", str(tmp_path / "frames")])
    assert result.exit_code == 0, result.output
    expected = load_generator(conditional).sample(8, seed=1, blend=(2, 1.0), fractions={"pore": [0.3, 0.5]})
    np.testing.assert_array_equal(Volume.load(tmp_path / "frames" / "frame-1.tif").labels, expected.labels)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("--target", "ssa.NMC>0.4"),
            "a target of ssa must be one of ssa.pore, ssa.Ni-YSZ, ssa.a.b. Received: 'ssa.NMC'",
        ),
        (("--target", "porosity=1"), "a target must be of a measure: fraction, "),
        (("--target", "tpb=1", "-o", "found.txt"), "a table must be a .csv file"),
        ((), "Missing option '--target'"),
    ],
)
def test_the_command_refuses_in_one_line(preset, more, message):
    result = CliRunner().invoke(main, ["search", str(preset), "--size", "8", *more])
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
