import json

import numpy as np
import pytest
from scipy import ndimage

from kerasgan3d import metrics
from kerasgan3d.metrics.ensemble import measure_samples, sample_values
from kerasgan3d.report.compare import compare
from kerasgan3d.report.comparison import Comparison, check_output
from kerasgan3d.volume import Volume

PHASES = ("pore", "Ni", "YSZ")
QUICK = {"count": 6, "size": 12, "classifier": False, "nearest": 2, "periodic_volumes": 3, "workers": 1}


def material(size, seed, sigma=1.5):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size,) * 3), sigma, mode="wrap")
    return (field > 0).astype(np.uint8) + (field > np.quantile(field, 0.8))


class Blobs:
    """A generator of smoothed noise."""

    phases, voxel_size, stride = PHASES, 0.5, 4
    card = {"name": "blobs"}

    def sample(self, size, *, periodic=False, seed=None):
        labels = material(size if periodic else size + 8, seed % 2**32)
        return Volume(labels[:size, :size, :size], PHASES, 0.5, periodic)


REAL = Volume(material(40, 0), PHASES, 0.5)


@pytest.fixture(scope="module")
def comparison():
    return compare(REAL, Blobs(), **QUICK)


def test_the_record_holds_every_part(comparison):
    record = comparison.to_dict()
    assert record == json.loads(json.dumps(record, allow_nan=False))
    assert record["real"] == {
        "name": "image",
        "kind": "volume",
        "shape": [40, 40, 40],
        "phases": list(PHASES),
        "voxel_size": 0.5,
    }
    assert (record["generated"]["name"], record["generated"]["kind"]) == ("blobs", "generator")
    assert record["generated"]["periodic_checked"]
    assert record["samples"] == {"real": 6, "generated": 6, "size": 12, "dimensions": 3, "seed": 0}
    keys = {row["key"] for row in record["measures"]}
    assert {"volume_fraction", "interfacial_area", "relative_diffusivity", "connected_fraction"} < keys
    assert {len(row[side]) for row in record["measures"] for side in ("real", "generated")} == {6}
    assert record["two_point_correlation"]["axes"] == ["z", "y", "x"]
    assert record["classifier"] is None
    assert [len(record["nearest"][side]) for side in ("generated", "real")] == [2, 2]
    assert record["seam"]["size"] == [24, 24, 24]
    assert record["lattice"]["period"] == 4
    for side in ("real", "generated"):
        assert record["leaning"][side]["lags"] == [2, 4]
        assert len(record["leaning"][side]["largest"]) == 3
    assert len(record["delta_ssa"]) == 3
    assert set(record["seconds"]) == {"sampling", "measuring", "nearest", "seam"}


def test_the_values_are_those_of_the_sub_volumes(comparison):
    from kerasgan3d.report.sources import generated_source, real_source

    for side, source in (("real", real_source(REAL)), ("generated", generated_source(Blobs()))):
        samples = source.draw(6, 12, 0)
        expected = measure_samples(samples, n_phases=3, voxel_size=0.5, workers=1)
        found = comparison.measure("relative_diffusivity", "pore", axis="y")
        assert found[side] == expected["relative_diffusivity"][:, 0, 1].tolist()
        found = comparison.measure("interfacial_area", "pore", other="YSZ")
        assert found[side] == expected["interfacial_area"][:, 1].tolist()


def test_a_repeat_gives_the_same_and_another_seed_another(comparison):
    quick = {**QUICK, "transport": False, "nearest": 0, "periodic_volumes": 0}
    again, other = (compare(REAL, Blobs(), **quick, seed=seed) for seed in (0, 1))
    key = ("specific_surface_area", "Ni")
    assert again.measure(*key) == comparison.measure(*key)
    assert other.measure(*key) != comparison.measure(*key)
    assert (again["seam"], again["lattice"], again["nearest"]) == (None, None, None)
    assert not any(row["key"] == "relative_diffusivity" for row in again["measures"])


def test_the_page_browses_the_first_volume_of_either_side(comparison):
    pictures = comparison.pictures
    for side in ("real", "generated"):
        assert pictures["volumes"][side].shape == (12, 12, 12)
        np.testing.assert_array_equal(pictures["volumes"][side][6], pictures[side][0])


def test_pictures_are_slices_and_flux_within_the_phase(comparison):
    pictures = comparison.pictures
    for side in ("real", "generated"):
        assert [image.shape for image in pictures[side]] == [(12, 12)] * 4
        assert "pore" in pictures["flux"][side]
        assert np.nanmin(pictures["flux"][side]["pore"]) >= 0
        assert np.isnan(pictures["flux"][side]["pore"]).any()


def test_the_text_says_what_was_found(comparison):
    text = str(comparison)
    assert text.startswith("image (real, 6 sub-volumes) and blobs (generated, 6), 12^3 voxels of 0.5 µm")
    for word in (
        "volume fraction",
        "Ni",
        "relative diffusivity",
        "Copies: the window of the real image",
        "Seam",
        "Stride lattice: by position modulo 4 voxels",
        "two diagonals",
    ):
        assert word in text
    assert "Classifier" not in text
    assert "\n\n\n" not in text


def test_it_is_saved_as_numbers_and_as_a_page(comparison, tmp_path):
    comparison.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == comparison.to_dict()
    comparison.save(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!")
    assert "blobs" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    with pytest.raises(FileExistsError, match=r"report\.json"):
        comparison.save(tmp_path / "report.json", overwrite=False)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("report.pdf", ValueError, r"must end in one of \.html, \.json"),
        ("nowhere/report.json", FileNotFoundError, r"nowhere"),
        ("folder.json", IsADirectoryError, r"folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_beforehand(tmp_path, name, error, message):
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(error, match=message):
        check_output(tmp_path / name)


def test_no_measure_of_that_name(comparison):
    with pytest.raises(ValueError, match=r"There must be a measure .*'porosity', None.*keys are volume_fraction"):
        comparison.measure("porosity")


def test_a_slice_is_compared_with_slices(tmp_path):
    found = compare(REAL.labels[5], Blobs(), **{**QUICK, "count": 5}, phases=PHASES)
    record = found.to_dict()
    assert (record["real"]["kind"], record["samples"]["dimensions"]) == ("slice", 2)
    estimates = {
        "volume_fraction",
        "specific_surface_area",
        "interfacial_area",
        "triple_phase_boundary_density",
        "mean_chord_length",
    }
    own = {"euler_characteristic", "speck_density", "hole_density"}
    assert {row["key"] for row in record["measures"] if row["estimated"]} == estimates
    assert {row["key"]: row["unit"] for row in record["measures"] if not row["estimated"]} == dict.fromkeys(
        own, "1/µm²"
    )
    assert {row["axis"] for row in record["measures"] if row["key"] == "mean_chord_length"} == {"y", "x", "mean"}
    assert set(record["curves"]) == {"granulometry"}
    assert "in discs of radius r" in str(found)
    tests = {verdict["test"] for verdict in record["verdicts"]}
    assert {"granulometry", "mean chord length", "Euler characteristic"} < tests
    assert record["two_point_correlation"]["axes"] == ["y", "x"]
    volumes = [Blobs().sample(12, seed=int(s)) for s in np.random.SeedSequence([0, 0]).generate_state(5, np.uint64)]
    expected = [(np.take(v.labels, 6, axis=axis) == 1).mean() for v in volumes for axis in range(3)]
    assert found.measure("volume_fraction", "Ni")["generated"] == pytest.approx(expected)
    assert "estimated from slices" in str(found)
    found.save(tmp_path / "report.html")
    assert "<h2>Generated volumes</h2>" in (tmp_path / "report.html").read_text("utf-8")


def test_a_slice_tells_what_its_stereology_tells_of_volumes():
    found = compare(REAL.labels[5], Blobs(), **{**QUICK, "count": 5, "transport": True}, phases=PHASES)
    volumes = found["volumes"]
    assert (volumes["count"], volumes["size"]) == (5, 12)
    rows = {(row["key"], row["phase"], row["axis"]): row for row in volumes["measures"]}
    of_slices = found.measure("specific_surface_area", "Ni")
    of_volumes = rows["specific_surface_area", "Ni", None]
    assert volumes["windows"] == 9  # as many as cover 40 x 40 pixels
    assert of_volumes["real_mean"] == pytest.approx(of_slices["real_mean"], rel=0.2)
    drawn = [Blobs().sample(12, seed=int(s)) for s in np.random.SeedSequence([0, 0]).generate_state(5, np.uint64)]
    expected = [metrics.specific_surface_area(v.labels, voxel_size=0.5, n_phases=3, periodic=False)[1] for v in drawn]
    assert of_volumes["generated_mean"] == pytest.approx(np.mean(expected))
    # Discs, Euler characteristics and specks of slices are none of volumes; chords are the same along every axis.
    for key in ("euler_characteristic", "speck_density", "hole_density"):
        assert (rows[key, "Ni", None]["real_mean"], rows[key, "Ni", None]["unit"]) == (None, "1/µm³")
        assert rows[key, "Ni", None]["generated_mean"] is not None
    chords = metrics.chord_lengths(REAL.labels[5], voxel_size=0.5, n_phases=3).mean
    for axis in ("z", "y", "x", "mean"):
        assert rows["mean_chord_length", "Ni", axis]["real_mean"] == pytest.approx(chords[1].mean())
        assert rows["mean_chord_length", "Ni", axis]["estimated"]
    # The scatter of windows is not that of volumes, and a slice knows nothing of transport.
    assert of_volumes["deviation_ratio"] is None
    assert rows["relative_diffusivity", "pore", "mean"]["real_mean"] is None
    assert rows["relative_diffusivity", "pore", "mean"]["generated_mean"] >= 0
    curves = np.array(volumes["two_point_correlation"]["generated"]["mean"])
    assert curves.shape[:2] == (3, 3)
    assert volumes["anisotropy"] == pytest.approx((curves.max(1) - curves.min(1)).max(-1))
    windows = np.array(volumes["two_point_correlation"]["real"]["mean"])
    assert np.array_equal(windows[:, 0], windows[:, 1])  # a slice has one mean of all directions
    assert np.array_equal(windows[:, 0], windows[:, 2])
    assert "The 5 volumes themselves, measured in 3D" in str(found)


def test_slices_have_no_volumes():
    found = compare(REAL.labels[5], [REAL.labels[3], REAL.labels[9]], **{**QUICK, "count": 4}, voxel_size=0.5)
    assert found["volumes"] is None


def test_volumes_stand_for_a_generator():
    volumes = [Volume(material(24, seed), PHASES, 0.5) for seed in range(1, 4)]
    found = compare(REAL, volumes, **QUICK)
    assert (found["generated"]["kind"], found["seam"]) == ("volumes", None)
    assert not found["generated"]["periodic_checked"]


def statistics(samples):
    drawn = [REAL.labels[k : k + 12, k : k + 12, k : k + 12] for k in range(0, 28, 4)]
    measured = measure_samples(drawn, n_phases=3, voxel_size=0.5, workers=1)
    s2 = measured["two_point_correlation"].mean(0)
    result = {
        "phases": list(PHASES),
        "voxel_size": 0.5,
        "sub_volumes": {"size": 12, "dimensions": 3, "count": 7, "seed": 0},
        "mean": {
            "volume_fractions": measured["volume_fraction"].mean(0).tolist(),
            "specific_surface_area": measured["specific_surface_area"].mean(0).tolist(),
            "triple_phase_boundary_density": measured["triple_phase_boundary_density"].mean(0).tolist(),
            "two_point_correlation": (s2 / s2[..., :1]).tolist(),
        },
        "std": {"volume_fractions": measured["volume_fraction"].std(0, ddof=1).tolist()},
    }
    return {**result, "samples": sample_values(measured)} if samples else result


@pytest.mark.parametrize("samples", [True, False], ids=["samples", "means"])
def test_statistics_stand_for_an_image(tmp_path, samples):
    found = compare(statistics(samples), Blobs(), **{**QUICK, "size": None, "periodic_volumes": 0, "classifier": True})
    assert found["samples"] == {"real": 7, "generated": 6, "size": 12, "dimensions": 3, "seed": 0}
    row = found.measure("volume_fraction", "pore")
    assert row["relative_difference"] == pytest.approx(row["generated_mean"] / row["real_mean"] - 1)
    assert (row["ks_distance"] is None) != samples
    assert (found["classifier"], found["nearest"]) == (None, None)
    assert found["two_point_correlation"]["real"]["low"] is None
    str(found)
    if not samples:
        found.save(tmp_path / "report.html")


def test_a_copy_is_found_out():
    class Copies(Blobs):
        def sample(self, size, *, periodic=False, seed=None):
            start = seed % 25
            window = REAL.labels[start : start + size, :size, 5 : 5 + size]
            return Volume(window[:, ::-1], PHASES, 0.5)

    found = compare(REAL, Copies(), **{**QUICK, "periodic_volumes": 0, "transport": False})
    assert found["nearest"]["generated"] == [0, 0]
    assert min(found["nearest"]["real"]) > 0.2


def test_the_classifier_learns_and_is_scored_on_different_halves(monkeypatch):
    seen = {}

    def score(train, test, phases, **options):
        seen.update(train=train, test=test, **options)
        return {"score": 0.5, "standard_error": 0.1, "train": [3, 3], "test": [3, 3]}

    monkeypatch.setattr("kerasgan3d.report.compare.classifier_score", score)
    labels = np.zeros((30, 12, 12), np.uint8)
    labels[15:] = 1
    labels[::2, 0, 0] = 2
    quick = {**QUICK, "classifier": True, "nearest": 0, "periodic_volumes": 0, "transport": False}
    found = compare(Volume(labels, PHASES, 0.5), Blobs(), **quick)
    assert found["classifier"]["score"] == 0.5
    real_train, real_test = seen["train"][0], seen["test"][0]
    assert {int(np.median(sample)) for sample in real_train} == {0}
    assert {int(np.median(sample)) for sample in real_test} == {1}
    generated = [sample.tobytes() for side in ("train", "test") for sample in seen[side][1]]
    assert len(generated) == len(set(generated)) == 6
    assert seen["independent"] == (1, 3)


def test_progress_goes_from_nothing_to_everything():
    calls = []
    compare(REAL, Blobs(), **QUICK, progress=lambda *call: calls.append(call))
    shares = [done / total for done, total, _ in calls]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, pytest.approx(1))
    assert list(dict.fromkeys(what for *_, what in calls)) == ["sampling", "measuring", "nearest", "seam"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"real": Volume(REAL.labels, ("a", "b", "c"), 0.5)}, r"phases of both sides must be the same"),
        ({"real": Volume(REAL.labels, PHASES, 0.4)}, r"voxel sizes of both sides"),
        ({"size": 41}, r"`size` must be at most the smallest dimension of the images\. Received: 41"),
        ({"count": 1}, r"`count` must be an integer of at least 2"),
        ({"seed": -1}, r"`seed` must be an integer of at least 0"),
        ({"periodic_volumes": 1}, r"`periodic_volumes` must be 2 or more"),
        ({"workers": 0}, r"`workers` must be"),
        ({"symmetries": "some"}, r"`symmetries` must be"),
        ({"generated": REAL.labels[0]}, r"Generated images must be volumes where the real one is"),
        ({"exclude": [((0, 40), (0, 40))]}, r"There must be room for a sub-volume"),
        ({"real": statistics(False), "size": 16}, r"`size` must be that which the statistics .* 12\. Received: 16"),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, dict) else "",
)
def test_bad_input_is_refused_before_any_volume_is_made(given, message):
    class Untouched(Blobs):
        def sample(self, *_, **__):
            raise AssertionError("a volume was made")

    given = {"real": REAL, "generated": Untouched(), **QUICK, **given}
    with pytest.raises(ValueError, match=message):
        compare(given.pop("real"), given.pop("generated"), **given)


def test_a_comparison_can_be_asked_by_key(comparison):
    assert comparison["samples"]["size"] == 12
    assert isinstance(comparison, Comparison)
    assert repr(comparison).startswith("Comparison(image and blobs, ")


def directed_statistics():
    """Statistics of slices in three directions, of a material of columns along z."""
    curves = np.ones((3, 3, 7))
    curves[:, 1:, 1:] = 0.25
    return {
        "phases": list(PHASES),
        "voxel_size": 0.5,
        "sub_volumes": {"size": 12, "dimensions": 2, "count": 7, "seed": 0},
        "mean": {"volume_fractions": [1 / 3] * 3, "two_point_correlation": curves.tolist()},
    }


def test_statistics_of_slices_in_three_directions_are_compared_along_three_axes(tmp_path):
    columns = np.random.default_rng(0).integers(3, size=(4, 1, 12, 12)).repeat(12, axis=1)
    found = compare(directed_statistics(), list(columns), **{**QUICK, "size": None}, transport=False)
    assert found["samples"] == {"real": 7, "generated": 12, "size": 12, "dimensions": 2, "seed": 0}
    for correlation in (found["two_point_correlation"], found["volumes"]["two_point_correlation"]):
        assert correlation["axes"] == ["z", "y", "x"]
        mean = np.array(correlation["generated"]["mean"])
        np.testing.assert_allclose(mean[:, 0], 1)
        assert (mean[:, 1:, 1:] < 0.7).all()
        np.testing.assert_allclose(np.array(correlation["largest_difference"])[:, 0], 0, atol=1e-12)
        np.testing.assert_array_equal(np.array(correlation["real"]["mean"])[:, 1:, 1:], 0.25)
    found.save(tmp_path / "page.html")
    str(found)


def test_statistics_of_slices_in_three_directions_are_of_volumes_alone():
    with pytest.raises(ValueError, match=r"Generated images must be volumes where .* three directions\. Received: sl"):
        compare(directed_statistics(), REAL.labels[0], **{**QUICK, "size": None})
