"""The web app: what it does when asked to, and how it looks in a browser."""

import html
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kerasgan3d import Volume, load_generator
from kerasgan3d.cli import main
from kerasgan3d.models.preset import save_preset
from kerasgan3d.sampling import Conditions
from kerasgan3d.zoo.app import Desk, _told, serve

ROOT = Path(__file__).resolve().parent.parent


class Error(Exception):
    """What gradio raises to tell something in the page."""

    def __init__(self, message, print_exception=True):
        super().__init__(message)


@pytest.fixture
def gradio(monkeypatch):
    """In the place of gradio, what the desk uses of it."""
    stand_in = types.ModuleType("gradio")
    stand_in.update = lambda **changes: changes
    stand_in.Error = Error
    monkeypatch.setitem(sys.modules, "gradio", stand_in)


@pytest.fixture
def desk(gradio, small_preset, tmp_path):
    return Desk([str(small_preset)], 64, tmp_path)


@pytest.fixture(scope="module")
def conditional(make_generator, tmp_path_factory):
    """The folder of a generator that takes volume fractions."""
    conditions = Conditions(
        mean=(0.4, 0.6),
        deviation=(0.05, 0.05),
        root=((1.0, 0.0), (-1.0, 0.0)),
        taps=((1.0,),) * 3,
        lowest=(0.25, 0.4),
        highest=(0.6, 0.75),
        gain=(1.0, 1.0),
        shift=(0.0, 0.0),
    )
    generator = make_generator(phases=("pore", "a_b"), conditions=conditions)
    return save_preset(generator, tmp_path_factory.mktemp("presets") / "told", {"name": "told"})


@pytest.fixture
def told(gradio, conditional, tmp_path):
    """A function that asks a conditional generator for fractions, as the page does."""
    desk = Desk([str(conditional)], 64, tmp_path)
    return lambda fractions, beyond=False: _told(desk.generate)(desk.names[0], 8, [], 0, fractions, beyond)


def test_a_generator_is_described(desk):
    about, size, fractions, beyond = desk.describe(desk.names[0])
    stride = load_generator(desk.names[0]).stride
    assert about == (
        "Blocks of noise. Phases: pore, grain. Voxels of 0.5 µm. Volume fractions are those of its training data; they "
        "cannot be chosen."
    )
    assert size == {"minimum": stride, "maximum": 64, "step": stride, "value": 64}
    assert fractions == {"visible": False, "value": ""}
    assert beyond == {"visible": False, "value": False}


def test_the_field_of_fractions_says_what_a_generator_has_learned(gradio, conditional, tmp_path):
    about, _, fractions, beyond = Desk([str(conditional)], 64, tmp_path).describe(str(conditional))
    assert "cannot be chosen" not in about
    assert (fractions["visible"], fractions["value"], fractions["placeholder"]) == (True, "", "pore=0.4")
    assert "Learned: pore 0.25 to 0.6, a_b 0.4 to 0.75." in fractions["info"]
    assert beyond == {"visible": True, "value": False}


@pytest.mark.parametrize(
    ("text", "fractions"),
    [
        ("", None),
        (" , ", None),
        ("pore=0.45", {"pore": 0.45}),
        (" a_b = 0.5,pore=0.5, ", {"pore": 0.5, "a_b": 0.5}),
        ("pore=x:0.3:0.55", {"pore": {"x": [0.3, 0.55]}}),
    ],
)
def test_fractions_of_the_page_are_those_of_python(told, conditional, text, fractions):
    expected = load_generator(conditional).sample(8, seed=0, fractions=fractions)
    volume = told(text)[0]
    assert volume.equals(expected)
    assert volume.provenance == expected.provenance


def test_fractions_beyond_what_was_learned_need_the_check_box(told):
    with pytest.raises(Error) as refused:
        told("pore=0.9")
    assert html.unescape(str(refused.value)) == (
        '"Volume fractions" must be within what the generator has learned of pore, 0.25 to 0.6. Received: 0.9 to 0.9. '
        '"Allow what it has not learned" allows it.'
    )
    assert told("pore=0.9", beyond=True)[0].provenance["conditions"]["beyond"] is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pore=much", "must be phase=fraction, such as pore=0.45, or a profile along an axis, .*Received: .*pore=much"),
        ("pore=0,45", "must be phase=fraction, .*Received: .*45"),
        ("pore=0.4, pore=0.5", "must name each phase once. Received: pore twice"),
        ("gold=0.4", "&quot;Volume fractions&quot; must name phases of pore, a_b. Received: .*gold"),
        ("pore=1.4", "&quot;Volume fractions&quot; of pore must be from 0 to 1: .*Received: 1.4"),
        ("pore=0.5, a_b=0.4", "&quot;Volume fractions&quot; of all phases must add up to 1. Received: 0.9"),
        ("<img src=x>\n<b>=0.4", "must be phase=fraction, .*Received: .*&lt;img src=x&gt;"),
    ],
)
def test_wrong_fractions_are_told_in_one_line_of_text(told, text, message):
    with pytest.raises(Error, match=message) as refused:
        told(text)
    assert "\n" not in str(refused.value)
    assert "<" not in str(refused.value)


def test_what_is_generated_is_shown_measured_and_taken_along(desk):
    volume, page, table, file = desk.generate(desk.names[0], 8, ["z", "x"], 3, "", False)
    expected = load_generator(desk.names[0]).sample(8, periodic="zx", seed=3)
    assert volume.equals(expected)
    assert Volume.load(file["value"]).equals(expected)
    assert Path(file["value"]).name == "blocks-8-seed-3.tif"
    assert re.match(r'<iframe src="data:text/html;charset=utf-8;base64,[\w+/=]+" sandbox="allow-scripts"', page)
    assert table == ""
    assert "volume fraction" in desk.measure(volume, diffusion=False)


def test_of_many_files_the_oldest_go(desk, tmp_path):
    volume = Volume(np.zeros((2, 2, 2), int))
    for number in range(25):
        desk._written(volume, f"{number}.tif")
    left = {path.name for path in tmp_path.glob("*/*.tif")}
    assert left == {f"{number}.tif" for number in range(5, 25)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "/etc"}, "The generator must be one of .* Received: '/etc'"),
        ({"size": 65}, "`size` must be an integer from 1 to 64. Received: 65"),
        ({"size": 10**9}, "`size` must be an integer from 1 to 64"),
        ({"size": 7}, "multiple"),
        ({"seed": -1}, "`seed` must be an integer from 0"),
        ({"periodic": ["q"]}, "q"),
        ({"fractions": "pore=much"}, "must be phase=fraction, such as pore=0.45, .*Received: 'pore=much'"),
        ({"fractions": "pore=0.4"}, "`fractions` need a generator that was trained on local volume fractions"),
    ],
)
def test_requests_are_checked(desk, changes, message):
    asked = {
        "name": desk.names[0],
        "size": 8,
        "periodic": ["z"],
        "seed": 0,
        "fractions": "",
        "beyond": False,
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        desk.generate(*asked.values())


def test_what_cannot_be_measured_is_told(desk):
    with pytest.raises(ValueError, match="Generate a volume first"):
        desk.measure(None, diffusion=False)
    with pytest.raises(ValueError, match="up to 96 voxels along an edge. Received: 97"):
        desk.measure(Volume(np.zeros((97, 1, 1), int)), diffusion=True)


@pytest.mark.parametrize(
    ("names", "largest", "message"),
    [([], 64, "`names` must name a generator"), (["a"], 8, "`largest` must be an integer from 16 to 1024")],
)
def test_an_app_of_nothing_is_refused(tmp_path, names, largest, message):
    with pytest.raises(ValueError, match=message):
        Desk(names, largest, tmp_path)


def test_the_command_serves_on_this_machine_alone(monkeypatch, small_preset):
    served = {}
    monkeypatch.setattr("kerasgan3d.zoo.app.serve", lambda names, **options: served.update(names=names, **options))
    assert CliRunner().invoke(main, ["app", str(small_preset), "--no-browser"]).exit_code == 0
    assert served["names"] == [str(small_preset)]
    assert (served["server_name"], served["server_port"], served["inbrowser"]) == ("127.0.0.1", None, False)


def test_without_gradio_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = CliRunner().invoke(main, ["app", "--no-browser"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "gradio is not installed; the app needs gradio: pip install 'kerasgan3d[app]'." in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(not (ROOT / "packaging").is_dir(), reason="the tests were taken out of the repository")
def test_the_space_says_what_it_needs():
    folder = ROOT / "packaging" / "space"
    front = folder.joinpath("README.md").read_text("utf-8").split("---")[1]
    settings = dict(line.split(": ", 1) for line in front.strip().splitlines())
    assert (settings["sdk"], settings["app_file"]) == ("gradio", "app.py")
    assert (folder / settings["app_file"]).is_file()
    assert folder.joinpath("requirements.txt").read_text("utf-8").startswith("kerasgan3d[app]")


@pytest.mark.peer
def test_a_browser_drives_the_app(browser, small_preset, conditional, tmp_path):
    gradio = pytest.importorskip("gradio")
    try:
        _, address, _ = serve([str(small_preset), str(conditional)], largest=64, prevent_thread_lock=True, quiet=True)
        assert address.startswith("http://127.0.0.1:")
        browser.goto(address)
        assert "fonts.googleapis" not in browser.content()
        browser.get_by_text("Blocks of noise.").wait_for()
        browser.get_by_text("cannot be chosen").wait_for()
        fractions = browser.get_by_label("Volume fractions")
        assert not fractions.is_visible()
        browser.get_by_label("Seed").fill("3")
        browser.get_by_role("button", name="Generate").click()
        frame = browser.frame_locator("iframe")
        frame.locator("body[data-drawn]").wait_for()
        assert "blocks, seed 3" in frame.locator("h1").text_content()
        with browser.expect_download() as download:
            browser.get_by_role("button", name="Download TIFF").click()
        download.value.save_as(tmp_path / "a.tif")
        expected = load_generator(small_preset).sample(64, periodic=True, seed=3)
        assert Volume.load(tmp_path / "a.tif").equals(expected)
        browser.get_by_role("tab", name="Measure").click()
        browser.get_by_role("button", name="Measure").click()
        browser.get_by_text("volume fraction").first.wait_for()
        browser.get_by_label("Seed").fill("-1")
        browser.get_by_role("button", name="Generate").click()
        browser.get_by_text('"Seed" must be an integer from 0').first.wait_for()
        browser.get_by_label("Generator").click()
        browser.get_by_role("option", name=str(conditional)).click()
        browser.get_by_text("Learned: pore 0.25 to 0.6").wait_for()
        browser.get_by_label("Seed").fill("3")
        fractions.fill("pore=0.9")
        browser.get_by_role("button", name="Generate").click()
        browser.get_by_text("must be within what the generator has learned of pore, 0.25 to 0.6.").first.wait_for()
        fractions.fill("pore=0.3")
        browser.get_by_role("button", name="Generate").click()
        browser.get_by_role("tab").first.click()  # from the measures back to the view
        frame.get_by_text("told, seed 3").first.wait_for()
    finally:
        gradio.close_all()
