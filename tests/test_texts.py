"""Texts that strangers write: what of them reaches a reader, a terminal, JSON, HTML, Markdown and pictures."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from kerasgan3d import Volume, render
from kerasgan3d.report.gallery import render_slices
from kerasgan3d.report.style import label_text
from kerasgan3d.texts import clipped, code, html_text, json_text, markdown, printable, shown

BAD = "a\x1b[2J\x9b\u202e\udcffb"
MARK = "\N{REPLACEMENT CHARACTER}"
LONG = "x" * 10**6


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("µm, Größe\nNa₂O", "µm, Größe\nNa₂O"),
        ("a\u00a0b\u2009c\td", "a\u00a0b\u2009c\td"),
        ("a\r\nb", "a\nb"),
        (BAD, f"a{MARK}[2J{MARK * 3}b"),
        ("\u2066a\u2028b\x00", f"{MARK}a{MARK}b{MARK}"),
    ],
)
def test_what_is_printed_obeys_nobody(text, printed):
    assert printable(text) == printed
    assert html_text(text) == printed


def test_json_keeps_every_text_and_shows_none_that_is_obeyed():
    for text in (BAD, "µm 相", 'a"\\\n', "\u2028\U0001f600\U000e0001"):
        written = json_text({text: [text]}, indent=1)
        assert json.loads(written) == {text: [text]}
        assert printable(written) == written
        written.encode()
    assert json_text("µm") == '"µm"'


def test_html_is_escaped():
    assert html_text('<b a="1">') == "&lt;b a=&quot;1&quot;&gt;"
    assert html_text(None) == ""


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("NMC", "NMC"),
        ("phase_1 (0.5)", "phase_1 (0.5)"),
        ("a|b\nc", r"a\|b c"),
        ("_x_ *y* `z`", r"\_x\_ \*y\* \`z\`"),
        ("[a](javascript:b)<script>&lt;$x$", r"\[a\](javascript:b)\<script\>\&lt;\$x\$"),
        ("# a", r"\# a"),
        ("a\x9b", f"a{MARK}"),
    ],
)
def test_a_name_is_a_name_in_markdown(name, written):
    assert markdown(name) == written


@pytest.mark.parametrize(
    ("name", "written"), [("a.tif", "`a.tif`"), ("a`b", "`` a`b ``"), ("``\n", "``` `` ```"), (BAD[-2:], f"`{MARK}b`")]
)
def test_code_is_code_in_markdown(name, written):
    assert code(name) == written


def test_what_has_no_end_is_clipped():
    assert clipped("abc", 3) == "abc"
    assert len(clipped(LONG, 100)) == 100
    assert len(shown([LONG])) == 200
    assert shown((1, "a")) == "(1, 'a')"


@pytest.mark.parametrize("name", [r"$\foo$", r"$\frac{$", "$a", r"a\$b$", "$$", BAD, LONG, "50 %$x$"], ids=range(8))
def test_every_name_can_be_drawn_and_none_is_a_formula(name, tmp_path):
    labels = np.arange(512, dtype="uint8").reshape(8, 8, 8) % 2
    volume = Volume(labels, phases=[name if name.isprintable() else "pore", "b"], voxel_size=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # fonts lack some signs
        render(volume, tmp_path / "a.png", title=name, axis="z")
        figure = render_slices([(name, labels[0])], [name, "b"], path=tmp_path / "a.svg")
    texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert label_text(name) in texts
    assert label_text("$x$") == r"\$x\$"


def test_figures_of_a_comparison_take_any_name(tmp_path):
    """Boxes, curves, scatter, seams: whatever phases, measures, axes and units are called."""
    from kerasgan3d.report import figures

    name = r"$\foo$"
    entry = {"key": name, "phase": name, "axis": name, "unit": name, "real": [1.0, 2.0], "generated": [1.0, 3.0]}
    curves = {"axes": [name], "lags": [0, 1], "real": {"mean": [[[1.0, 0.5]], [[1.0, 0.5]]]}}
    seam = {"measures": [{**entry, "seam": 1.0, "interior": 2.0, "standard_error": 0.1}]}
    nearest = {"generated": [0.1, 0.2], "measure": name}
    phases = (name, "b")
    drawn = [
        figures.box_plots([entry, {**entry, "axis": "y"}], phases),
        figures.correlation_curves(curves, phases),
        figures.seam_differences(seam),
        figures.nearest_distances(nearest),
        figures.flux_maps({name: np.ones((4, 4))}, {}),
        figures.slice_rows([np.zeros((4, 4), int)], [], phases),
    ]
    for number, figure in enumerate(drawn):
        figure.savefig(tmp_path / f"{number}.png")


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense", "", "QtAgg", "agg"])
def test_a_backend_of_the_environment_changes_no_picture(backend, tmp_path):
    script = (
        "import os, kerasgan3d, numpy as np\n"
        "import matplotlib.pyplot, matplotlib\n"  # as Keras does
        "volume = kerasgan3d.Volume(np.arange(8, dtype='uint8').reshape(2, 2, 2) % 2, phases=['a', 'b'])\n"
        "kerasgan3d.render(volume, 'a.png')\n"
        "print(os.environ.get('MPLBACKEND'))"
    )
    env = {**os.environ, "MPLBACKEND": backend}
    result = subprocess.run([sys.executable, "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    # What is there stays, for the pictures of others.
    assert result.stdout.strip() in (backend, "None")
    assert (tmp_path / "a.png").stat().st_size > 1000
