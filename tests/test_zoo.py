import json
import re
import shutil
import sys

import keras
import numpy as np
import pytest

import kerasgan3d
from kerasgan3d import zoo
from kerasgan3d.folder import CARD, read_facts, write_json
from kerasgan3d.material.statistics import reference_statistics
from kerasgan3d.models import Generator
from kerasgan3d.models.preset import save_preset
from kerasgan3d.volume import Volume
from kerasgan3d.zoo.card import card_text

PHASES = ("pore", "grain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A preset folder of an untrained two-phase generator."""
    keras.utils.set_random_seed(0)
    generator = Generator(PHASES, latent_channels=3, widths=(4, 4, 4, 4), voxel_size=0.5)
    labels = np.random.default_rng(0).integers(0, 2, (40, 40, 40)).astype("uint8")
    reference = reference_statistics(labels, PHASES, 0.5, size=32, count=3)
    card = {"name": "blocks", "description": "Blocks of noise.", "citation": "nobody"}
    return save_preset(generator, tmp_path_factory.mktemp("zoo") / "blocks", card, reference)


def test_a_folder_is_loaded_like_a_name(folder):
    generator = kerasgan3d.load_generator(folder)
    assert generator.phases == PHASES
    assert generator.voxel_size == 0.5
    assert generator.stride == 16
    assert generator.card["name"] == "blocks"
    volume = generator.sample(16, periodic=True, seed=1)
    assert volume.provenance["generator"] == {"name": "blocks", "sha256": generator.card["sha256"]}
    assert np.array_equal(zoo.load_generator(str(folder)).sample(16, periodic=True, seed=1).labels, volume.labels)


@pytest.mark.parametrize("name", ["nmc-catode", "", "no/such/folder", "no/scan.tif", None, 3])
def test_unknown_names_are_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match="there is no generator .*" + ".*".join(zoo.list_presets())):
        zoo.load_generator(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nmc-catode", "'nmc-catode'; did you mean nmc-cathode? Give one of"),
        ("NMC_Cathode", "'NMC_Cathode'; did you mean nmc-cathode? Give one of"),
        (__file__, "test_zoo.py', but a file of that name. Give one of"),
        ("deep", "'deep', but an untrained architecture, which Generator.from_architecture makes. Give one of"),
        ("granite", "'granite'. Give one of"),
    ],
)
def test_what_was_meant_instead_of_a_generator_is_said(name, hint):
    with pytest.raises(ValueError, match=re.escape(hint)):
        zoo.load_generator(name)


def test_what_may_be_on_the_hub_is_said_not_to_be_here():
    with pytest.raises(
        OSError, match="no/such is no folder here, and the Hub is not asked, since HF_HUB_OFFLINE is set"
    ):
        zoo.load_generator("no/such")


def test_a_revision_is_for_hubs(folder):
    with pytest.raises(ValueError, match="`revision` must be None"):
        zoo.load_generator(folder, revision="main")


def test_an_incomplete_folder_names_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no kerasgan3d.json"):
        zoo.load_generator(tmp_path)


def test_facts_are_read_without_keras(folder, tmp_path):
    import subprocess

    code = f"""
import sys
from kerasgan3d import zoo
facts = zoo.info({str(folder)!r})
assert facts["phases"] == ["pore", "grain"] and facts["generator"]["widths"] == [4, 4, 4, 4], facts
zoo.list_presets()
assert "keras" not in sys.modules and "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_fidelity_and_card_are_made_from_the_folder(folder):
    result = zoo.measure_fidelity(folder, count=2, large=32, large_count=2)
    facts = read_facts(folder)
    assert facts["fidelity"] == json.loads(json.dumps(result["fidelity"]))
    assert facts["samples"] == {"count": 2, "size": 32, "seed": 20_000, "compared_in": 3}
    assert sum(facts["large_volumes"]["generated"]) == pytest.approx(1)
    assert zoo.load_generator(folder).card["fidelity"]["volume_fraction"]["real"] == pytest.approx([0.5, 0.5], abs=0.02)

    assert zoo.complete(folder, size=32) == folder
    text = (folder / "README.md").read_text("utf-8")
    assert text == card_text(folder)
    share = facts["fidelity"]["volume_fraction"]["generated"][0]
    assert f"| volume fraction, pore | 0.5 | {share:.4g} |" in text or f"| {share:.4g} |" in text
    assert "2 volumes of 32 voxels per side" in text
    assert "Over 2 volumes of 32" in text
    assert "cite: nobody" in text
    assert (folder / "preview.png").read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob("*.partial"))


def test_the_card_tells_how_the_generator_was_trained(folder, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    facts = read_facts(again)
    facts["training"] = {
        "recipe": {"architecture": "compact", "stages": [{"from": 5, "architecture": "wide"}, {"from": 7}], "steps": 9},
        "steps": 9,
        "remark": "In two stretches.",
    }
    write_json(facts, again / CARD)
    text = card_text(again)
    assert "compact, then wide architecture" in text
    assert "that of step 9 of 9" in text
    assert "\nIn two stretches.\n" in text


def test_the_card_tells_how_near_it_comes_to_data_that_training_did_not_see(folder, tmp_path):
    again = shutil.copytree(folder, tmp_path / "again")
    errors = {"error": 0.25, "error_of_training_data": 0.125, "real_difference": 0.0625}
    write_json({**read_facts(again), "held_out": {"box": [[0, 64], [0, 9]], **errors, "fidelity": {}}}, again / CARD)
    text = card_text(again)
    assert r"the block \[\[0, 64\], \[0, 9\]\] of the data" in text
    assert "0.250 against that block and 0.125 against the training data" in text
    assert "differ by 0.062 themselves" in text
    write_json({**read_facts(again), "held_out": {"box": [], **errors, "error": "small"}}, again / CARD)
    with pytest.raises(ValueError, match=r"must give a number as 'held_out.error'. Received: 'small'"):
        card_text(again)


@pytest.mark.parametrize(
    ("recipe", "largest"),
    [
        ({"crop": 64}, "64"),
        ({}, "few"),
        ({"views": [{"kind": "slices", "size": 48}, {"kind": "slices", "size": 128, "pool": 2}]}, "128"),
    ],
    ids=["earlier", "none", "views"],
)
def test_the_card_tells_how_much_critics_saw(folder, tmp_path, recipe, largest):
    again = shutil.copytree(folder, tmp_path / "again")
    write_json({**read_facts(again), "training": {"recipe": recipe}}, again / CARD)
    assert f"larger than the {largest} voxels that its critics saw" in card_text(again)


def test_the_card_tells_what_is_made_of_wishes(folder, tmp_path):
    again = shutil.copytree(folder, tmp_path / "again")
    answers = {"count": 3, "asked": [[0.5, 0.5]] * 3, "got": [[0.5, 0.5]] * 3, "rms_error": [0.0123, 0.04]}
    write_json({**read_facts(again), "training": {"answers": answers}}, again / CARD)
    assert "what it made of those for 3 volumes; what is left is 0.012 / 0.040 by phase" in card_text(again)


@pytest.fixture(scope="module")
def found(folder):
    """A preset compared with a slice, and volumes of others with it."""
    image = np.random.default_rng(1).integers(0, 2, (70, 80)).astype("uint8")
    other = [np.random.default_rng(i).integers(0, 2, (32, 32, 32)).astype("uint8") for i in range(2)]
    return zoo.compare_preset(
        folder,
        image,
        peers={"others' volumes": other},
        count=4,
        size=32,
        solid=(32, 2),
        large=(64, 2),
        classifier=False,
        nearest=0,
        periodic_volumes=2,
        workers=1,
    )


def test_a_comparison_stands_in_the_folder(found, folder):
    assert read_facts(folder)["comparison"] == json.loads(json.dumps(found))
    assert found["samples"]["dimensions"] == 2
    shapes = {"mean_chord_length", "euler_characteristic", "speck_density", "hole_density"}
    assert {row["key"] for row in found["measures"]} == {"volume_fraction", "specific_surface_area"} | shapes
    assert all("generated" not in row for row in found["measures"])


def test_the_values_of_real_samples_stand_in_the_reference(found, folder):
    reference = json.loads((folder / "reference.json").read_text("utf-8"))
    fractions = np.array(reference["samples"]["volume_fraction"])
    assert fractions.shape == (4, 2)
    assert fractions.std(0, ddof=1) == pytest.approx([row["real_std"] for row in found["measures"][:2]], rel=1e-4)
    shapes = {"mean_chord_length", "euler_characteristic", "speck_density", "hole_density"}
    assert set(reference["samples"]) == {"volume_fraction", "specific_surface_area", "interfacial_area"} | shapes
    assert np.shape(reference["samples"]["mean_chord_length"]) == (4, 2, 2)  # along y, x


@pytest.mark.parametrize("transport", [True, False], ids=["with transport", "without"])
def test_samples_of_volumes_are_those_that_were_measured(transport):
    from kerasgan3d.metrics.ensemble import measure_samples, sample_values
    from kerasgan3d.report.record import ComparisonRecord, GeneratedSide, Samples, Side
    from kerasgan3d.report.statistics import measure_rows
    from kerasgan3d.zoo.comparison import _real_samples

    samples = list(np.random.default_rng(0).integers(0, 3, (4, 8, 8, 8)).astype("uint8"))
    measured = measure_samples(samples, n_phases=3, voxel_size=0.5, transport=transport, workers=1)
    rows = measure_rows(measured, measured, ("a", "b", "c"))
    record = ComparisonRecord(Side("scan", phases=["a", "b", "c"]), GeneratedSide("made"), Samples(4, 4), rows)
    assert _real_samples(record) == sample_values(measured)


def test_generated_volumes_are_measured_as_such(found):
    assert found["volumes"]["count"] == 4
    assert len(found["volumes"]["anisotropy"]) == 2
    assert np.shape(found["solid"]["relative_diffusivity"]) == (2, 3)
    (fractions, areas) = found["large"]["measures"]
    assert found["large"]["sub_volumes"] == 4
    assert sum(fractions["large"]) == pytest.approx(1)
    assert len(areas["standard_error"]) == 2


def test_the_card_says_what_the_comparison_found(found, folder):
    text = card_text(folder)
    row = found["measures"][0]
    peer = found["peers"]["others' volumes"]["measures"][0]
    assert "| measure | slice | generated | difference | spread, generated over real | others' volumes |" in text
    assert f"| volume fraction, pore | {row['real_mean']:.4g} | {row['generated_mean']:.4g} |" in text
    assert f"| {peer['generated_mean']:.4g} | {100 * peer['relative_difference']:+.1f} % |" in text
    for start in (
        "- S2(r)/S2(0)",
        "- The 4 volumes",
        "- Seams:",
        "- Stride lattice:",
        "- Leaning:",
        "- Size:",
        "- Others' volumes",
    ):
        assert start in text


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_phase_that_is_never_generated_is_said_to_be_missing(dimensions, tmp_path):
    generator = Generator(PHASES, latent_channels=3, widths=(4, 4, 4, 4), voxel_size=0.5)
    (bias,) = [variable for variable in generator.trainable_variables if tuple(variable.shape) == (2,)]
    bias.assign([-1e3, 1e3])
    labels = np.random.default_rng(0).integers(0, 2, (40, 40, 40)).astype("uint8")
    reference = reference_statistics(labels, PHASES, 0.5, size=32, count=3)
    folder = save_preset(generator, tmp_path / "grain", {"name": "grain", "description": "All grain."}, reference)
    found = zoo.compare_preset(
        folder,
        labels[0] if dimensions == 2 else labels,
        count=4,
        size=32,
        solid=(32, 2),
        large=(64, 2),
        classifier=False,
        nearest=0,
        periodic_volumes=2,
        workers=1,
    )
    missing, whole = found["two_point_correlation"]["worst"]
    assert missing is None
    assert whole > 0.1
    assert found["lattice"]["largest_swing"] == {"volume_fraction": 0, "label_change_rate": 0}
    text = card_text(folder)
    assert f"differs by at most pore \N{EN DASH}, grain {whole:.3f} for r up to" in text
    assert "nor small volumes differ among themselves" in text


def test_the_reference_is_of_the_sub_volumes_of_the_card(found, folder):
    reference = json.loads((folder / "reference.json").read_text("utf-8"))
    assert reference["sub_volumes"] == {"count": 4, "size": 32, "dimensions": 2, "seed": found["samples"]["seed"]}
    samples = {key: np.array(values) for key, values in reference["samples"].items()}
    for key in ("volume_fraction", "euler_characteristic", "speck_density"):
        assert reference["mean"][key] == pytest.approx(samples[key].mean(0))
        assert reference["std"][key] == pytest.approx(samples[key].std(0, ddof=1))
    sizes = reference["mean"]["granulometry"]
    assert np.shape(sizes) == (2, 8)
    assert [curve[0] for curve in sizes] == [1, 1]
    assert np.shape(reference["bands"]["granulometry"]["low"]) == np.shape(sizes)
    assert np.shape(reference["mean"]["two_point_correlation"])[:2] == (2, 2)


def test_statistics_alone_have_curves_of_shape_and_their_bands(found, folder):
    other = np.random.default_rng(9).integers(0, 2, (40, 40)).astype("uint8")
    options = {"count": 3, "voxel_size": 0.5, "classifier": False, "nearest": 0, "workers": 1}
    record = kerasgan3d.compare(folder, other, **options).record
    reference = json.loads((folder / "reference.json").read_text("utf-8"))
    curves = record.curves["granulometry"]
    assert curves.real.mean == [[curve] for curve in reference["mean"]["granulometry"]]
    assert curves.real.high == [[curve] for curve in reference["bands"]["granulometry"]["high"]]
    assert {v.phase for v in record.verdicts if v.test == "granulometry"} == set(PHASES)
    assert record.measure("speck_density", PHASES[0]).real_mean == pytest.approx(reference["mean"]["speck_density"][0])


def test_peers_that_are_smaller_are_compared_at_their_size(folder, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    image = np.random.default_rng(1).integers(0, 2, (70, 80)).astype("uint8")
    small = [np.random.default_rng(i).integers(0, 2, (24, 24, 24)).astype("uint8") for i in range(2)]
    options = {"classifier": False, "nearest": 0, "periodic_volumes": 0, "workers": 1, "solid": (32, 2)}
    found = zoo.compare_preset(again, image, peers={"theirs": small}, count=3, size=32, large=(64, 2), **options)
    assert found["samples"]["size"] == 32
    assert found["peers"]["theirs"]["samples"]["size"] == 24


def test_names_of_generators_are_told_from_other_files(small_preset, tmp_path):
    (tmp_path / "scan.tif").write_bytes(b"")
    for name in (*zoo.list_presets(), small_preset, str(small_preset), "hf://org/name"):
        assert zoo.is_generator(name)
    for name in ("scan.tif", tmp_path / "scan.tif", tmp_path, "org/name", "nowhere"):
        assert not zoo.is_generator(name)


def test_comparisons_take_names_as_the_command_does(small_preset):
    other = Volume(np.zeros((8, 8, 8), int), ("a", "b"), 1.0)
    with pytest.raises(ValueError, match=r"Received: .* of nmc-cathode, and a, b of volume"):
        kerasgan3d.compare("nmc-cathode", other)
    with pytest.raises(ValueError, match="phases of both sides must be the same"):
        kerasgan3d.compare(other, small_preset)
