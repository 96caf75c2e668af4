import base64
import copy
import io
import json
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from kerasgan3d.palette import phase_colors
from kerasgan3d.report.page import page_text, write_page
from kerasgan3d.report.record import ComparisonRecord
from kerasgan3d.report.verdict import conclusion, verdicts_of

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Parses a page strictly: every element is closed, in order. Keeps texts, links and the rows of the tables."""

    def __init__(self, text):
        super().__init__()
        self.open, self.headings, self.links, self.images, self.sources, self.rows = [], [], [], [], [], []
        self.texts, self.data = [], None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs["href"]] if "href" in attrs else []
        self.sources += [attrs["src"]] if "src" in attrs else []
        if tag == "img":
            self.images.append(attrs)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else None
        if inside == "script":
            self.data = json.loads(data)
        elif inside != "style":
            self.texts.append(data)
        if inside in ("h1", "h2", "h3"):
            self.headings.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def entry(key, phase=None, *, axis=None, other=None, unit="1", mean=0.4, shift=0.01, values=6, estimated=False):
    """One measure: real values around a mean, generated ones shifted."""
    spread = 0.02 * np.linspace(-1, 1, values)
    real, generated = mean + spread, mean + shift + 0.5 * spread
    return {
        "key": key,
        "phase": phase,
        "other": other,
        "axis": axis,
        "unit": unit,
        "estimated": estimated,
        "real": real.tolist(),
        "generated": generated.tolist(),
        "real_mean": float(real.mean()),
        "real_std": float(real.std()),
        "generated_mean": float(generated.mean()),
        "generated_std": float(generated.std()),
        "relative_difference": shift / mean,
        "deviation_ratio": 0.5,
        "ks_distance": 0.375,
        "ks_p": 0.21,
    }


def make_comparison(phases=("pore", "NMC", "CBD"), dimensions=3, transport=True, tests=True):
    n, axes = len(phases), list("zyx")[-dimensions:]
    flat = dimensions == 2
    measures = [entry("volume_fraction", phase, mean=1 / n) for phase in phases]
    measures += [entry("specific_surface_area", phase, unit="1/µm", mean=0.3, estimated=flat) for phase in phases]
    if n > 2:
        measures.append(entry("triple_phase_boundary_density", unit="1/µm²", mean=0.2, estimated=flat))
    if transport:
        measures += [entry("relative_diffusivity", phase, axis=axis, mean=0.2) for phase in phases for axis in "zyx"]
        measures += [entry("relative_diffusivity", phase, axis="mean", mean=0.2) for phase in phases]
    curves = np.broadcast_to(0.5 + 0.5 * np.exp(-np.arange(9) / 3), (n, len(axes), 9))
    sides = {"mean": curves.tolist(), "low": (curves - 0.05).tolist(), "high": (curves + 0.05).tolist()}
    cell = np.full((3, n, 4), 1 / n)
    seam = {"key": "label_change_rate", "phase": phases[0], "axis": "z"}
    return {
        "format": 1,
        "real": {"name": "scan.tif", "kind": "volume", "shape": [40] * 3, "phases": list(phases), "voxel_size": 0.5},
        "generated": {"name": "a generator", "kind": "generator", "periodic_checked": tests},
        "samples": {"real": 6, "generated": 6, "size": 16, "dimensions": dimensions, "seed": 3},
        "measures": measures,
        "two_point_correlation": {
            "lags": list(range(9)),
            "axes": axes,
            "real": sides,
            "generated": copy.deepcopy(sides),
            "largest_difference": np.full((n, len(axes)), 0.0123).tolist(),
        },
        "leaning": {"real": None, "generated": {"largest": [0.0321] * n, "smallest_p": 0.012}} if tests else None,
        "delta_ssa": [1.25] * n,
        "classifier": {"score": 0.61, "standard_error": 0.05, "train": [3, 3], "test": [3, 3], "note": "A note."}
        if tests
        else None,
        "nearest": {
            "generated": [0.31, 0.33],
            "real": [0.3, 0.32],
            "measure": "share of voxels that differ",
            "searched": "every place",
        }
        if tests
        else None,
        "seam": {
            "size": [16, 16, 16],
            "count": 4,
            "measures": [{**seam, "seam": 0.11, "interior": 0.1, "standard_error": 0.02}],
        }
        if tests
        else None,
        "lattice": {
            "period": 4,
            "fractions": cell.tolist(),
            "standard_error": (0.01 * cell).tolist(),
            "chi2_p": np.full((3, n), 0.4).tolist(),
        }
        if tests
        else None,
        "version": "0.1.0",
    }


def make_pictures(n=3, seed=0):
    rng = np.random.default_rng(seed)
    return {side: [rng.integers(0, n, (16, 16)) for _ in range(2)] for side in ("real", "generated")}


@pytest.fixture
def undrawn(monkeypatch):
    """Keeps figures from being drawn, which takes most of the time, where only texts are looked at."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, stream, **_: stream.write(b"<svg></svg>"))


@pytest.fixture(scope="module")
def whole():
    flux = np.where(np.arange(64).reshape(8, 8) % 3, 1.0, np.nan)
    pictures = {**make_pictures(), "flux": {"real": {"pore": flux}, "generated": {"pore": flux}}}
    return page_text(make_comparison(), pictures)


def test_the_page_is_well_formed_and_in_the_reader_s_order(whole):
    page = Page(whole)
    assert page.headings == [
        "a generator against scan.tif",
        "Slices",
        "Fractions, surfaces, boundaries",
        "Two-point correlation",
        "Transport",
        "Tests",
        "Do structures lean to one side?",
        "Can a classifier tell them apart?",
        "Does it repeat what it learnt from?",
        "Is there a seam in periodic volumes?",
        "Does the generator's stride show?",
        "All measures",
        "How it was computed",
    ]
    assert len(page.images) == 11
    assert all(image["alt"] for image in page.images)


def test_the_page_needs_nothing_from_outside(whole):
    page = Page(whole)
    assert page.sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert page.links
    assert all(link.startswith("https://doi.org/10.") for link in page.links)
    assert "@import" not in whole
    assert "url(" not in whole
    for source in page.sources:
        picture = base64.b64decode(source.partition(",")[2]).decode()
        assert 'href="http' not in picture
        assert "</svg>" in picture


@pytest.mark.usefixtures("undrawn")
def test_the_table_holds_the_numbers():
    comparison = make_comparison()
    comparison["measures"][0].update(
        real_mean=0.40213, real_std=0.0213, generated_mean=0.3871, generated_std=0.0101, relative_difference=-0.0371
    )
    row = Page(page_text(comparison)).rows[1]
    assert row == ["volume fraction", "pore", "0.402 ± 0.021", "0.387 ± 0.010", "−3.7 %", "0.50", "0.38"]


def test_every_measure_is_in_the_second_table(whole):
    comparison, page = make_comparison(), Page(whole)
    names = [row[-8:] for row in page.rows if len(row) >= 8]
    assert len(names) == len(comparison["measures"]) + 1  # and the head
    assert "specific surface area (1/µm)" in page.text


def test_the_record_is_there_for_machines(whole):
    assert Page(whole).data == ComparisonRecord.from_dict(make_comparison()).to_dict()


@pytest.mark.usefixtures("undrawn")
def test_infinities_become_null():
    comparison = make_comparison()
    comparison["measures"][0]["real"][0] = float("inf")
    assert Page(page_text(comparison)).data["measures"][0]["real"][0] is None


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", '"><img src=x>', "a & b < c", "Größe $title"])
def test_names_are_escaped(name):
    comparison = make_comparison(phases=(name, "solid"))
    comparison["real"]["name"] = comparison["generated"]["name"] = name
    comparison["classifier"]["note"] = comparison["nearest"]["searched"] = name
    page = Page(page_text(comparison))
    assert "".join(page.headings).startswith(f"{name} against {name}")
    assert name in [row[0] for row in page.rows] or name in [row[1] for row in page.rows]
    assert page.data["real"]["name"] == name
    assert len(page.sources) == len(page.images)
    assert all(source.startswith("data:") for source in page.sources)


def test_names_that_no_page_can_hold_are_shown_as_far_as_they_can(tmp_path):
    """Of a file whose name is not UTF-8, say, and of phases that are no formulas."""
    name = "caf\udce9\x9b\u202e $\\foo$"
    comparison = make_comparison(phases=(name, "solid"))
    comparison["real"]["name"] = comparison["generated"]["name"] = comparison["notes"] = name
    comparison["notes"] = [name]
    path = write_page(comparison, make_pictures(2), tmp_path / "a.html")
    text = path.read_text("utf-8")
    assert all(sign.isprintable() or sign == "\n" for sign in text)
    page = Page(text)
    assert page.data["real"]["name"] == name
    assert page.headings[0].startswith("caf\N{REPLACEMENT CHARACTER}")


@pytest.mark.usefixtures("undrawn")
def test_what_is_null_is_left_out_and_said():
    comparison = make_comparison(transport=False, tests=False)
    comparison.update(two_point_correlation=None, delta_ssa=None)
    page = Page(page_text(comparison))
    assert not {"Transport", "Slices", "Two-point correlation"} & set(page.headings)
    assert (
        "Not computed here: relative diffusivity, the classifier's test, the search for the nearest real sub-volumes, "
        "seam against interior of periodic volumes, the stride lattice." in page.text
    )
    assert len(page.images) == 3
    assert "None" not in page.text
    assert "nan" not in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_reference_without_values_is_compared_by_means():
    comparison = make_comparison(tests=False)
    comparison["real"].update(kind="reference", shape=None)
    for measure in comparison["measures"]:
        measure.update(real=None, ks_distance=None, ks_p=None)
    page = Page(page_text(comparison))
    assert page.rows[1][-1] == "–"
    assert page.rows[1][2] == "0.3333 ± 0.0137"
    assert "None" not in page.text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("n", [2, 6])
def test_any_number_of_phases(n):
    names = tuple(f"phase {k}" for k in range(n))
    page = Page(page_text(make_comparison(phases=names), make_pictures(n)))
    assert ("triple-phase" in page.text) == (n > 2)
    assert [row[1] for row in page.rows if row[0] == "volume fraction"][0] == "phase 0"
    assert f"phase {n - 1}" in page.text


@pytest.mark.usefixtures("undrawn")
def test_slices_are_compared_as_slices():
    comparison = make_comparison(dimensions=2, transport=False, tests=False)
    comparison["real"].update(kind="slice", shape=[40, 40])
    page = Page(page_text(comparison, make_pictures()))
    assert "16² voxels, 8 µm an edge" in page.text
    assert "windows" in page.text
    assert "sub-volumes vary" not in page.text
    assert "specific surface area† (1/µm)" in page.text
    assert "† estimated from slices by stereology." in page.text


@pytest.mark.usefixtures("undrawn")
def test_differences_are_marked_beyond_five_percent_and_chance():
    comparison = make_comparison(phases=("pore", "solid"), transport=False, tests=False)
    small, large, noisy, zero = comparison["measures"]
    small["relative_difference"] = 0.049
    large.update(relative_difference=0.06, real_mean=0.5, generated_mean=0.53, real_std=0.01, generated_std=0.01)
    noisy.update(relative_difference=-0.06, real_mean=0.5, generated_mean=0.47, real_std=0.1, generated_std=0.1)
    zero.update(relative_difference=None, real_mean=0.0)
    page = Page(page_text(comparison))
    differences = [row[-3] for row in page.rows[1:5]]
    assert differences == ["+4.9 %", "● +6.0 %", "○ −6.0 %", "● –"]
    verdicts = verdicts_of(ComparisonRecord.from_dict(comparison))
    assert conclusion(verdicts) in page.text
    assert "Falls short in 3 of 7 tests, most in" in page.text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("score", "meaning"),
    [(0.56, "no better than guessing"), (0.97, "in 97 of 100 cases"), (0.3, "worse than guessing")],
)
def test_the_classifier_s_score_is_explained(score, meaning):
    comparison = make_comparison()
    comparison["classifier"]["score"] = score
    text = Page(page_text(comparison)).text
    assert f"{score:.2f} ± 0.05" in text
    assert meaning in text
    assert "3 + 3 to learn from, 3 + 3 to be judged by" in text
    assert "take more" not in text


@pytest.mark.usefixtures("undrawn")
def test_a_score_of_few_samples_is_said_to_tell_little():
    comparison = make_comparison()
    comparison["classifier"] |= {"score": 0.7, "standard_error": 0.15}
    assert "within two standard errors. So few samples tell little: take more." in Page(page_text(comparison)).text


@pytest.mark.usefixtures("undrawn")
def test_nearest_real_sub_volumes_may_be_lacking():
    comparison = make_comparison()
    comparison["nearest"]["real"] = []
    text = Page(page_text(comparison)).text
    assert "The smallest distance is" in text
    assert "The image is too small to say how near real ones are" in text
    assert "nearer than real ones are" not in text


@pytest.mark.usefixtures("undrawn")
def test_volumes_are_shown_by_their_middle_slices():
    labels = np.zeros((5, 6, 7), dtype=np.uint8)
    text = page_text(make_comparison(), {"real": labels, "generated": [labels, labels]})
    assert "Slices" in Page(text).headings


def test_the_same_comparison_gives_the_same_page():
    comparison = make_comparison(phases=("pore", "solid"), transport=False, tests=False)
    comparison["two_point_correlation"] = None
    before = copy.deepcopy(comparison)
    assert page_text(comparison, make_pictures(2)) == page_text(comparison, make_pictures(2))
    assert comparison == before


def test_the_page_is_written_whole(tmp_path):
    comparison = make_comparison(phases=("pore", "solid"), transport=False, tests=False)
    path = tmp_path / "page.html"
    assert write_page(comparison, None, path) == path
    assert path.read_text("utf-8") == page_text(comparison)
    assert path.stat().st_size < 1_000_000
    assert [child.name for child in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.usefixtures("undrawn")
def test_a_page_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("before")
    with pytest.raises(ValueError, match="labels 0 to 2"):
        write_page(make_comparison(), {"real": [np.full((4, 4), 3)]}, path)
    assert path.read_text() == "before"
    assert [child.name for child in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ({"real": [np.zeros((4, 4))]}, r"pictures\['real'\] must be slices.*float64 of shape \(4, 4\)"),
        ({"generated": [np.zeros(4, int)]}, r"pictures\['generated'\] must be slices.*shape \(4,\)"),
        ({"flux": {"real": {"gold": np.zeros((4, 4))}}}, r"must map phases \(pore, NMC, CBD\).*'gold'"),
        ({"flux": {"real": {"pore": np.zeros(4)}}}, r"float arrays \(rows, columns\).*shape \(4,\)"),
    ],
    ids=["float labels", "one dimension", "unknown phase", "flux of one dimension"],
)
def test_wrong_pictures_are_refused(pictures, message):
    with pytest.raises(ValueError, match=message):
        page_text(make_comparison(), pictures)


@pytest.mark.parametrize(
    ("comparison", "message"),
    [
        ([], "a dict of format 1 or 2. Received: 'list'"),
        ({"format": 3}, "a dict of format 1 or 2. Received: 3"),
        ({"format": 1, "real": {}, "generated": {}, "samples": {}}, "a record without 'measures'"),
    ],
    ids=["no dict", "another format", "a part is lacking"],
)
def test_wrong_records_are_refused(comparison, message):
    with pytest.raises(ValueError, match=message):
        page_text(comparison)


@pytest.mark.usefixtures("undrawn")
def test_curves_of_a_wrong_shape_are_refused():
    comparison = make_comparison()
    comparison["two_point_correlation"]["lags"].append(9)
    with pytest.raises(ValueError, match=r"must have the shape \(3, 3, 10\). Received: \(3, 3, 9\)"):
        page_text(comparison)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("page.pdf", ValueError, "page.pdf"),
        ("none/page.html", OSError, "none"),
        ("folder.html", OSError, "folder.html"),
    ],
    ids=["another suffix", "no such folder", "a folder"],
)
def test_wrong_places_are_refused(name, error, message, tmp_path):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(error, match=message):
        write_page(make_comparison(), None, tmp_path / name)
    assert [child.name for child in tmp_path.iterdir()] == ["folder.html"]


@pytest.mark.usefixtures("undrawn")
def test_notes_and_seconds_are_told():
    comparison = make_comparison(transport=False, tests=False)
    comparison.update(notes=["scan.tif does not name its phases"], seconds={"sampling": 1.5, "measuring": 2.7})
    text = Page(page_text(comparison)).text
    assert "Note: scan.tif does not name its phases." in text
    assert "It took 4 s." in text


@pytest.mark.usefixtures("undrawn")
def test_slices_of_volumes_are_browsed():
    rng = np.random.default_rng(0)
    volumes = {side: rng.integers(0, 3, (140, 6, 7)).astype(np.uint8) for side in ("generated", "real")}
    text = page_text(make_comparison(), {**make_pictures(), "volumes": volumes})
    (found,) = re.findall(r'<div class="browse".*?</script>', text, re.S)
    shown = re.findall(r'data-shape="(.*?)" data-labels="(.*?)"></canvas><p class="quiet">(\w+)', found)
    assert [side for *_, side in shown] == ["real", "generated"]
    for shape, labels, side in shown:
        assert json.loads(shape) == [128, 6, 7]
        values = np.frombuffer(zlib.decompress(base64.b64decode(labels)), np.uint8)
        np.testing.assert_array_equal(values.reshape(128, 6, 7), volumes[side][:128])
    assert [source[:20] for source in Page(text).sources if "image" not in source] == ["data:text/javascript"]
    assert 'type="range"' in found
    assert "One real and one generated volume, slice by slice: the first 128 voxels along each axis." in found
    assert "browse" not in page_text(make_comparison(), make_pictures()).partition("<body>")[2]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (np.zeros((4, 4), int), r"pictures\['volumes'\]\['real'\] must be a volume \(z, y, x\). Received: \(4, 4\)"),
        (np.full((4, 4, 4), 3), r"pictures\['real'\] must be .* labels 0 to 2"),
    ],
)
def test_volumes_that_cannot_be_browsed_are_refused(volume, message):
    with pytest.raises(ValueError, match=message):
        page_text(make_comparison(), {"volumes": {"real": volume}})


@pytest.mark.peer
@pytest.mark.usefixtures("undrawn")
def test_a_browser_goes_through_the_slices(tmp_path, browser):
    labels = np.arange(6 * 8 * 10).reshape(6, 8, 10) % 3
    volumes = {"real": labels, "generated": labels[::-1]}
    write_page(make_comparison(), {**make_pictures(), "volumes": volumes}, tmp_path / "a.html")
    browser.goto((tmp_path / "a.html").as_uri())
    browser.wait_for_selector(".browse:not([hidden])")
    palette = phase_colors(("pore", "NMC", "CBD"))

    def shown(number):
        script = "(canvas, n) => canvas[n].toDataURL()"
        url = browser.eval_on_selector_all(".browse canvas", script, number)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))

    for axis, place, told in (("0", 5, "2.5 µm, voxel 5"), ("2", 3, "1.5 µm, voxel 3")):
        browser.select_option(".browse select", axis)
        browser.fill(".browse input", str(place))
        assert browser.text_content(".browse output") == told
        for number, volume in enumerate(volumes.values()):
            np.testing.assert_array_equal(shown(number), palette[volume.take(place, int(axis))])
    assert browser.trouble == []
