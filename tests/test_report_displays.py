"""What notebooks show: whole by itself, escaped, small, and of everything that has something to show."""

import base64
import io
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from kerasgan3d.metrics import measure
from kerasgan3d.report import displays
from kerasgan3d.report.compare import compare
from kerasgan3d.volume import Volume

HOSTILE = "<script>alert(1)</script>&\"'"
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, (24, 24, 24)).astype(np.uint8)


class Tags(HTMLParser):
    """The tags, texts and addresses of a page."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.addresses, self.text = [], set(), [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def checked(page):
    """The page's text and its picture, once it is known to be whole by itself."""
    tags = Tags(page)
    assert tags.open == []
    assert not tags.tags & {"script", "link", "iframe", "object"}
    assert "url(" not in page
    assert all(address.startswith("data:image/png;base64,") for address in tags.addresses)
    assert len(page) < 300_000
    pictures = [Image.open(io.BytesIO(base64.b64decode(a.partition(",")[2]))) for a in tags.addresses]
    return tags.text, pictures[0] if pictures else None


@pytest.mark.parametrize("size", [0.4, None])
def test_a_volume(size):
    volume = Volume(LABELS, ("pore", HOSTILE, "CBD"), size, "yx", {"seed": 7, "generator": {"name": HOSTILE}})
    text, picture = checked(volume._repr_html_())
    assert picture.size[0] > 300
    for fact in ("24 x 24 x 24 voxels", HOSTILE, "along y, x", "7", f"{volume.fractions[0]:.1%}"[:-1]):
        assert fact in text
    assert ("9.6 x 9.6 x 9.6 µm" in text) == (size is not None)


def test_a_large_volume_is_shown_in_part(monkeypatch):
    monkeypatch.setattr(displays, "_LARGE", 16)
    text, _ = checked(Volume(LABELS)._repr_html_())
    assert "the first 16 x 16 x 16 voxels" in text


@pytest.mark.parametrize("image", [Volume(LABELS, ("pore", HOSTILE, "CBD"), 0.4), LABELS[0]], ids=["volume", "slice"])
def test_a_record_of_measures(image):
    record = measure(image, transport=False)
    text, picture = checked(record._repr_html_())
    assert picture is not None
    assert f"{record.volume_fraction[2]:.3f}" in text
    assert "mean chord length" in text or record.voxel_size is None


def test_a_comparison_with_and_without_its_slices():
    sides = [Volume(RNG.integers(0, 2, (32, 32, 32)), ("pore", HOSTILE), 0.4) for _ in range(2)]
    options = {"classifier": False, "nearest": 0, "periodic_volumes": 0, "transport": False, "workers": 1}
    comparison = compare(*sides, count=4, size=16, **options)
    for pictures in (comparison.pictures, {}):
        comparison.pictures = pictures
        text, picture = checked(comparison._repr_html_())
        assert picture is not None
        assert all(part in text for part in ("volume fraction", HOSTILE, "cannot be told"))


def shown(preview, **card):
    return displays.generator_html(
        SimpleNamespace(
            card={"name": HOSTILE, **card},
            phases=("pore", HOSTILE),
            voxel_size=0.4,
            stride=16,
            padding="valid",
            widths=(8, 4),
            conditions=None,
            preview=preview,
            count_params=lambda: 1234,
        )
    )


def test_a_generator(tmp_path):
    path = tmp_path / "preview.png"
    Image.new("RGB", (2000, 500), "red").save(path)
    text, picture = checked(shown(path, description=HOSTILE * 100, data=5))
    assert picture.size == (1100, 275)
    assert all(part in text for part in (HOSTILE, "16 voxels", "1,234"))
    assert len(text) < 3000


HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0\1\0\0" * 2 + b"\x08\2\0\0\0" + bytes(4)


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n broken", b"<svg/>", HUGE])
def test_a_generator_without_a_picture_that_can_be_read(tmp_path, content):
    path = tmp_path / "preview.png"
    if content is not None:
        path.write_bytes(content)
    for preview in (path, None):
        assert checked(shown(preview))[1] is None


def test_figures_show_themselves():
    figure = Volume(LABELS).plot(axis="z")
    assert Image.open(io.BytesIO(figure._repr_png_())).size[0] > 200
    assert re.match(r"<Figure|<Picture|Figure", repr(figure))
