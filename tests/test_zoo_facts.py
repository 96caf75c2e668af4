"""Facts of strangers: that do not agree, that are of another shape, that have no end, of a place that is not theirs."""

import contextlib
import copy
import json
import random
import re
import shutil

import pytest
from click.testing import CliRunner

import kerasgan3d
from kerasgan3d import zoo
from kerasgan3d.cli import main
from kerasgan3d.folder import CARD, CONFIG
from kerasgan3d.texts import printable
from kerasgan3d.zoo.card import card_text
from kerasgan3d.zoo.hub_cache import origin_of

ODD = (None, 5, -1.5, True, "x", "", [], {}, [1], [None], {"a": 1}, {"kind": {}}, 10**400, 1e300, [[[]]], ["a"])
BAD = r"$\foo$|<b>`_x_\x9b" + "\u202e\udcff\n# no"
FACTS = {
    "training": {
        "recipe": {"name": "r", "source": "s", "steps": 9, "critic_warmup": 1, "stages": [{"architecture": "wide"}]},
        "data": {"file": "a.tif", "shape": [9, 9, 9]},
        "symmetry": {"kind": "axial", "axis": 0},
        "calibration": {"before": [0.4, 0.6], "after": [0.5, 0.5]},
        "fine_tuned_from": {"name": "a", "repo": "org/a", "revision": "0" * 40, "citation": "b"},
        "steps": 5,
        "hours": 1.5,
        "hardware": "a core",
        "remark": "done",
    },
    "samples": {"count": 9, "size": 8, "compared_in": 3},
    "large_volumes": {"count": 2, "size": 16, "real": [0.5, 0.5], "generated": [0.4, 0.6]},
    "two_point_correlation": {"difference": 0.1, "max_lag": 8},
    "granulometry": {"difference": 0.1, "max_radius": 8},
}


@pytest.fixture
def folder(small_preset, tmp_path):
    return shutil.copytree(small_preset, tmp_path / "blocks")


def change(folder, file=CARD, /, **facts):
    content = json.loads((folder / file).read_text())
    (content if file == CARD else content["config"]).update(facts)
    (folder / file).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "facts", "message"),
    [
        (CARD, {"voxel_size": 0.4}, r"kerasgan3d.json must give the voxel size of config.json, 0.5. Received: 0.4."),
        (CONFIG, {"voxel_size": 0.4}, r"kerasgan3d.json must give the voxel size of config.json, 0.4. Received: 0.5."),
        (CARD, {"phases": ["grain", "pore"]}, r"must name the phases of config.json, \['pore', 'grain'\]. Received:"),
        (CARD, {"weights": {"bytes": 7}}, r"is not the file that kerasgan3d.json names: it has \d+ bytes, not 7"),
        (CARD, {"format": "3"}, "must give a whole number as 'format'. Received: '3'"),
    ],
)
def test_facts_that_do_not_agree_are_refused(name, facts, message, folder):
    change(folder, name, **facts)
    for read in (zoo.info, kerasgan3d.load_generator, card_text):
        with pytest.raises(ValueError, match=message):
            read(folder)


def test_what_a_card_leaves_open_the_configuration_says(folder):
    change(folder, phases=None, voxel_size=None)
    content = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    facts = zoo.info(folder)
    assert (facts["phases"], facts["voxel_size"]) == (["pore", "grain"], 0.5)
    card = card_text(folder)
    assert "- Phases: pore, grain\n- Voxel size: 0.5 µm\n" in card


@pytest.mark.parametrize("key", [*FACTS, "fidelity", "weights"])
def test_odd_facts_are_refused_or_left_out_by_info_and_card(key, folder):
    """Whatever stands wherever: a line, or what there is to show."""
    facts = {**FACTS, **{k: json.loads((folder / CARD).read_text())[k] for k in ("fidelity", "weights")}}
    change(folder, **FACTS)
    card_text(folder)

    def places(value, where=()):
        yield where
        for k, item in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            yield from places(item, (*where, k))

    cases = [(where, odd) for where in places(facts[key]) for odd in ODD]
    for where, odd in random.Random(0).sample(cases, min(len(cases), 40)):
        changed = copy.deepcopy({key: facts[key]})
        *outer, last = (key, *where)
        value = changed
        for k in outer:
            value = value[k]
        value[last] = odd
        change(folder, **{**FACTS, **changed})
        result = CliRunner().invoke(main, ["info", str(folder)])
        assert result.exit_code in (0, 2), (where, odd, result.exception)
        assert len(result.stderr) < 1000
        with contextlib.suppress(ValueError):
            card_text(folder)
        change(folder, **facts)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"training": {"calibration": {"before": 5}}}, "must give a list of numbers as 'training.calibration.before'"),
        ({"training": {"recipe": [1]}}, "must give an object as 'training.recipe'. Received: [1]"),
        ({"fidelity": {"volume_fraction": {"real": {}}}}, "a number, or a list as 'fidelity.volume_fraction.real'"),
        ({"samples": {"count": "many"}}, "must give a number as 'samples.count'. Received: 'many'"),
        ({"description": "x" * 10**6}, "must give a text of at most 10000 characters as 'description'"),
        ({"phases": ["x" * 10**6, "y"]}, "must name the phases of config.json"),
    ],
)
def test_what_is_odd_is_named(facts, message, folder):
    change(folder, **facts)
    result = CliRunner().invoke(main, ["info", str(folder)])
    assert result.exit_code == 2
    assert re.search(re.escape(message), result.stderr)
    assert len(result.stderr) < 1000


def test_a_comparison_that_is_none_is_said_to_be_none(folder):
    change(folder, comparison={"format": 2, "samples": {"real": 1, "generated": 1}, "measures": [], "real": {}})
    result = CliRunner().invoke(main, ["info", str(folder)])
    assert result.exit_code == 0
    assert "The comparison with the material cannot be read" in result.stdout
    with pytest.raises(ValueError, match=r"A comparison must hold 'real'"):
        card_text(folder)


def test_names_that_are_no_names_stay_what_they_are_in_a_card(folder):
    training = {**FACTS["training"], "data": {"file": BAD, "shape": [9, BAD]}, "hardware": BAD, "remark": BAD}
    training["fine_tuned_from"] = dict.fromkeys(("name", "repo", "revision", "citation"), BAD)
    training["recipe"] = {"name": BAD, "source": BAD, "architecture": BAD, "crop": BAD}
    change(folder, name=BAD, description=BAD, citation=BAD, licence=BAD, data=BAD, training=training)
    text = card_text(folder, source=BAD)
    assert printable(text) == text
    text.encode()
    front = text.split("---")[1]
    assert "base_model" not in front
    assert "# \\$\\\\foo\\$\\|\\<b\\>" in text
    result = CliRunner().invoke(main, ["info", str(folder), "--json"])
    assert json.loads(result.stdout)["name"] == BAD
    assert printable(result.stdout) == result.stdout


def test_a_folder_that_only_looks_like_the_cache_s_has_no_origin(hub, client, small_preset, small_files, tmp_path):
    commit = hub.add("google/gen", small_files)
    snapshot = zoo.pull("google/gen")
    assert origin_of(snapshot.folder) == {"repo": "google/gen", "revision": commit}
    elsewhere = shutil.copytree(small_preset, tmp_path / "models--google--gen" / "snapshots" / ("a" * 40))
    inside = shutil.copytree(small_preset, snapshot.folder.parent / ("b" * 40))
    (inside / "README.md").write_text("another card")
    for folder in (elsewhere, inside):
        assert origin_of(folder) == {}
        assert "repo" not in zoo.info(folder)
        assert "repo" not in kerasgan3d.load_generator(folder).card


def test_a_snapshot_of_copies_has_its_origin(hub, client, small_files, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    commit = hub.add("org/blocks", small_files)
    assert origin_of(zoo.pull("org/blocks").folder)["revision"] == commit
