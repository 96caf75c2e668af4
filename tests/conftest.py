"""What the tests share: TensorFlow's settings, made before it is imported, and tiny networks with lived-in weights."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The networks here are tiny: threads cost more than they give, and pytest-xdist already uses the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
# TensorFlow reads whether to use oneDNN when it is imported, and kerasgan3d decides that. It must be imported before
# Keras, whichever tests are chosen, or this process would round differently from those that tests start.
importlib.import_module("kerasgan3d")
# Nothing here may reach the Hub; what needs one starts its own.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.pop("HF_TOKEN", None)


@pytest.fixture
def browser():
    """A page of a real browser, headless and without a network: the machine's Chromium, or Playwright's.

    Its list `trouble` holds the errors of the page.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    switches = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"]
    switches.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    with playwright.sync_playwright() as driver:
        try:
            found = next(filter(None, map(shutil.which, names)), None)
            running = driver.chromium.launch(executable_path=found, args=switches)
        except playwright.Error as error:
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        page = running.new_page(viewport={"width": 1000, "height": 1000})
        page.set_default_timeout(120_000)
        page.trouble = []
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        yield page
        running.close()


@pytest.fixture
def signals_heard():
    """Let programs that a test starts hear signals that are ignored where it runs in the background."""
    heard = {signal.SIGINT: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):
        heard[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def enliven(generator, seed=0):
    """Give a generator weights as after training: no two channels alike, batch normalisation with a past."""
    import numpy as np

    rng = np.random.default_rng(seed)

    def fill(normalizations, convolutions, gammas, share):
        for norm in normalizations:
            norm.gamma.assign(rng.uniform(*gammas, norm.gamma.shape))
            norm.beta.assign(rng.normal(0.0, 0.3, norm.beta.shape))
            norm.moving_mean.assign(rng.normal(0.0, 0.3, norm.moving_mean.shape))
            norm.moving_variance.assign(rng.uniform(0.3, 2.0, norm.moving_variance.shape))
        for convolution in convolutions:
            shape = convolution.kernel.shape
            convolution.kernel.assign(rng.normal(0.0, shape[-1] ** -0.5 / share, shape))
            if convolution.bias is not None:
                convolution.bias.assign(rng.normal(0.0, 0.2, convolution.bias.shape))

    fill(generator.normalizations, generator.convolutions, (0.5, 1.5), 3)
    fill(generator.residual_normalizations, generator.residual_convolutions, (0.3, 0.9), 5)
    return generator


@pytest.fixture(scope="session")
def make_generator():
    """A function that makes a small Generator with lived-in weights; arguments as the class has them."""

    def make(upsampling="resize", *, seed=0, **arguments):
        from kerasgan3d.models import Generator

        small = {"phases": 3, "latent_channels": 5, "widths": (8, 6)}
        return enliven(Generator(upsampling=upsampling, **{**small, **arguments}), seed)

    return make


@pytest.fixture(scope="session")
def shrink():
    """A function that makes, of a MonkeyPatch, whole runs of seconds: tiny networks, few volumes, no pictures.

    Steps are not traced, which takes longer than a few of them; those who want it say so.
    """

    def make(monkeypatch, traced=False):
        from functools import partial

        from kerasgan3d.material import material, sections, statistics
        from kerasgan3d.models import ARCHITECTURES, answers
        from kerasgan3d.training import GAN3D, monitor, run

        tiny = {"latent_channels": 4, "widths": (6, 4), "depths": (1, 1)}
        monkeypatch.setitem(ARCHITECTURES, "deep", {**ARCHITECTURES["deep"], **tiny})
        monkeypatch.setattr(monitor, "SAMPLES", {"count": 2, "seed": 2**33})
        monkeypatch.setattr(run, "with_answers", partial(answers.with_answers, count=4))
        few = partial(statistics.reference_statistics, count=20)
        monkeypatch.setattr(material, "reference_statistics", few)
        monkeypatch.setattr(material, "section_statistics", partial(sections.section_statistics, count=20))
        monkeypatch.setattr("kerasgan3d.report.run_figure.draw_monitor", lambda *args: None)
        if not traced:
            compiled = GAN3D.compile
            monkeypatch.setattr(GAN3D, "compile", lambda *args, **given: compiled(*args, run_eagerly=True, **given))

    return make


@pytest.fixture(scope="session")
def tiny_recipes():
    """Recipes for such runs: "full", with views of both kinds, conditions and terms, and "plain", with one view."""
    from kerasgan3d.training import load_recipe

    slices = {"kind": "slices", "size": 16, "count": 2, "widths": (4, 5)}
    volumes = {"kind": "volumes", "size": 16, "pool": 2, "count": 1, "widths": (4,)}
    terms = {"local_fractions": 0.15, "surface_areas": 1.0}
    tiny = load_recipe("default").with_changes(size=16, steps=4, monitor_every=2, precision="float32")
    return {
        "full": tiny.with_changes(views=(slices, volumes), terms=terms),
        "plain": tiny.with_changes(views=({**slices, "widths": (4,)},), terms={}, conditional=False),
    }


@pytest.fixture(scope="session")
def small_preset(make_generator, tmp_path_factory):
    """A preset folder that lacks nothing, its network as small as they get; not to be changed."""
    from kerasgan3d.models.preset import save_preset

    generator = make_generator(phases=("pore", "grain"), voxel_size=0.5)
    card = {
        "name": "blocks",
        "description": "Blocks of noise.",
        "citation": "Nobody et al., J. Noise 1 (2026) 1",
        "licence": "MIT",
        "training": {"data": {"file": "noise.tif", "shape": [9, 9, 9]}},
        "fidelity": {"volume_fractions": {"real": [0.5, 0.5], "generated": [0.4, 0.6]}},
    }
    reference = {"phases": ["pore", "grain"], "mean": {"volume_fractions": [0.5, 0.5]}}
    folder = save_preset(generator, tmp_path_factory.mktemp("small") / "blocks", card, reference)
    (folder / "README.md").write_text("the card", "utf-8")
    (folder / "preview.png").write_bytes(b"\x89PNG no more than that")
    return folder


@pytest.fixture(scope="session")
def small_files(small_preset):
    """Name to content of its files."""
    return {path.name: path.read_bytes() for path in small_preset.iterdir()}


@pytest.fixture
def hub():
    """A small Hub that is running; see `tests/hub.py`."""
    with hub_class()(tokens={"hf_Kwrite0123": "write", "hf_Kread0123": "read"}) as running:
        yield running


@pytest.fixture
def client(hub, monkeypatch, tmp_path):
    """The client of the Hub in this process, set on that hub and an empty cache; a function that sets the token."""
    from huggingface_hub import constants

    from kerasgan3d.zoo import hub as ours

    home = tmp_path / "hf-home"
    for name, value in {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_OFFLINE": False,
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "AGENT_HARNESSES_PATH": str(home / ".agent_harnesses.json"),
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(ours, "_WAITS", (0.01, 0.02, 0.02))

    def use_token(token):
        monkeypatch.setenv("HF_TOKEN", token)

    use_token.home = home
    return use_token


@pytest.fixture
def hub_env(hub, tmp_path):
    """The environment of a process whose client is set on that hub and an empty cache."""
    env = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf-home"), "HF_HUB_OFFLINE": "0"}
    return {key: value for key, value in env.items() if key not in ("HF_TOKEN", "HF_HUB_CACHE")}


@pytest.fixture
def walk(tmp_path):
    """A function that takes the steps of a section of the guide in a copy of the package, then runs a script there."""
    guide = Path(__file__).parent.parent / "docs" / "contributing.md"
    if not guide.is_file():
        pytest.skip("the tests were taken out of the repository")

    def take(section, module, table, rows, imported, script):
        """Write the section's module, and below `imported` its row as the first of the `rows` of a table."""
        import kerasgan3d

        text = guide.read_text("utf-8").split(f"## {section}")[1].split("\n## ")[0]
        (code,), (row,) = (re.findall(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("python", "text"))
        copy = tmp_path / "kerasgan3d"
        shutil.copytree(Path(kerasgan3d.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / module).write_text(code, "utf-8")
        before = (copy / table).read_text("utf-8")
        (copy / table).write_text(before.replace(f"{rows} = (\n", f"{imported}\n{rows} = (\n{row}"), "utf-8")
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)

    return take


def hub_class():
    """`Hub` of the file beside this one."""
    if "kerasgan3d_tests_hub" not in sys.modules:
        spec = importlib.util.spec_from_file_location("kerasgan3d_tests_hub", Path(__file__).with_name("hub.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return sys.modules["kerasgan3d_tests_hub"].Hub
