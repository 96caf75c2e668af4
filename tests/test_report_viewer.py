"""The page in which a volume turns: what it holds, and what a browser shows of it."""

import base64
import io
import json
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from kerasgan3d import Volume
from kerasgan3d.io import open_volume
from kerasgan3d.palette import phase_colors
from kerasgan3d.report import View, view


def make_volume(shape=(6, 8, 10), phases=("pore", "NMC", "CBD"), **options):
    labels = np.random.default_rng(0).integers(0, len(phases), shape).astype(np.uint8)
    return Volume(labels, phases, 0.5, **options)


def content(page):
    """What a page holds of its volume, its labels unpacked."""
    found = json.loads(re.search(r'<script type="application/json" id="volume">(.*?)</script>', page.html)[1])
    labels = np.frombuffer(zlib.decompress(base64.b64decode(found.pop("labels"))), np.uint8)
    return {**found, "labels": labels.reshape(found["shape"])}


def test_a_page_holds_the_voxels_and_needs_nothing_else(tmp_path):
    volume = make_volume(periodic="yx", provenance={"generator": {"name": "cathode"}, "seed": 7})
    page = volume.view(tmp_path / "a.html")
    assert isinstance(page, View)
    assert (tmp_path / "a.html").read_text("utf-8") == page.html
    found = content(page)
    np.testing.assert_array_equal(found["labels"], volume.labels)
    assert (found["step"], found["voxel_size"], found["lengths"]) == (1, 0.5, ["3 µm", "4 µm", "5 µm"])
    assert found["colors"] == phase_colors(volume.phases).tolist()
    assert "<title>cathode, seed 7</title>" in page.html
    assert "6 x 8 x 10 voxels of 0.5 µm, 3 x 4 x 5 µm; periodic along y, x" in page.html
    for share in volume.fractions:
        assert f"<span>{100 * share:.1f} %</span>" in page.html
    assert not re.search(r"https?:|src=|href=|url\(|@import|import\(|fetch\(", page.html)


@pytest.mark.parametrize("stored", [False, True])
def test_a_large_volume_is_reduced_and_the_page_says_so(tmp_path, stored):
    volume = make_volume((700, 3, 4), ("a", "b"))
    volume.save(tmp_path / "a.zarr")
    page = view(open_volume(tmp_path / "a.zarr", in_memory=0) if stored else volume)
    found = content(page)
    assert (found["shape"], found["step"], found["first"]) == ([233, 1, 1], 3, [1, 1, 1])
    np.testing.assert_array_equal(found["labels"], volume.labels[1::3, 1::3, 1::3])
    assert "one voxel in 3 along each axis is shown, 233 x 1 x 1 in all" in page.html
    assert f"<span>{100 * volume.fractions[0]:.1f} %</span>" in page.html


def test_packed_labels_are_small():
    volume = Volume(np.indices((128, 128, 128)).sum(0) // 16 % 2)
    assert len(volume.view().html) < 200_000


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", '"><img src=x>', "a & b $title"])
def test_names_are_escaped(name):
    page = make_volume(phases=(name, "b")).view(title=name)
    assert page.html.count("<script") == 2
    assert "<img" not in page.html


def test_a_notebook_shows_the_page_in_a_frame():
    page = make_volume().view()
    frame = page._repr_html_()
    assert re.match(r'<iframe srcdoc="&lt;!DOCTYPE html&gt;', frame)
    assert 'sandbox="allow-scripts"' in frame
    assert frame.count("<") == 2
    assert repr(page).startswith("View(6 x 8 x 10 voxels, ")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros((2, 2, 2), int),), TypeError, "`volume` must be a kerasgan3d.Volume; .* Received: ndarray"),
        ((make_volume(), "a.pdf"), ValueError, "a.pdf"),
        ((make_volume(), "none/a.html"), OSError, "none"),
    ],
)
def test_mistakes_are_told(tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        view(*arguments)
    with pytest.raises(ValueError, match="'gold'"):
        make_volume().view(colors={"gold": "red"})
    assert list(tmp_path.iterdir()) == []


def pixels(page, selector):
    """The picture of a canvas: uint8 (rows, columns, 4)."""
    url = page.eval_on_selector(selector, "canvas => canvas.toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGBA"))


@pytest.mark.peer
def test_a_browser_shows_the_volume(tmp_path, browser):
    """Three slabs along z, of which the last is seen at the bottom of the body only."""
    labels = np.arange(6).repeat(80).reshape(6, 8, 10) // 2
    volume = Volume(labels, ("a", "b", "c"), 0.5)
    palette = phase_colors(volume.phases)
    page = volume.view(tmp_path / "a.html")
    browser.goto((tmp_path / "a.html").as_uri())
    browser.wait_for_selector("body[data-drawn]")
    assert browser.is_hidden("#trouble")
    # The first slab is on top, in its own colour; the rest of the page is bare.
    body = pixels(browser, "#solid canvas")
    seen = {tuple(color) for color in body[body[..., 3] > 0][:, :3].tolist()}
    assert tuple(palette[0]) in seen
    assert not body[[0, -1]].any()
    # Slices are the voxels, and go where one wants them.
    for axis, name in enumerate("zyx"):
        shown = pixels(browser, f".slices figure:nth-child({axis + 1}) canvas")
        np.testing.assert_array_equal(shown[..., :3], palette[labels.take(labels.shape[axis] // 2, axis)], name)
    browser.fill(".slices input", "5")
    browser.wait_for_function("document.querySelector('.slices output').textContent === '2.5 µm, voxel 5'")
    np.testing.assert_array_equal(pixels(browser, ".slices canvas")[..., :3], palette[labels[5]])
    # A phase that is hidden is gone from both; a cut shows what lies below.
    browser.click(".phases label >> nth=0")
    browser.wait_for_function("!colors[3] && !asked")
    body = pixels(browser, "#solid canvas")
    seen = {tuple(color) for color in body[body[..., 3] > 0][:, :3].tolist()}
    assert tuple(palette[0]) not in seen
    assert not pixels(browser, ".slices figure:nth-child(2) canvas")[:2, :, 3].any()
    browser.click(".cuts label >> nth=0")
    browser.wait_for_function("cuts[0] && !asked")
    body = pixels(browser, "#solid canvas")
    assert tuple(palette[2]) in {tuple(color) for color in body[body[..., 3] > 0][:, :3].tolist()}
    # It turns by keys.
    browser.focus("#solid")
    browser.keyboard.press("ArrowRight")
    assert browser.evaluate("eye.azimuth") == 35
    # In a notebook, it is the same page in a frame.
    (tmp_path / "b.html").write_text(page._repr_html_(), "utf-8")
    browser.goto((tmp_path / "b.html").as_uri())
    browser.frame_locator("iframe").locator("body[data-drawn]").wait_for()
    assert browser.trouble == []
