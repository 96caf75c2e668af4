import contextlib
import json
import os
from importlib import metadata

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

import kerasgan3d
from kerasgan3d.cli import doctor, main


def run(*args):
    return CliRunner().invoke(main, ["doctor", *args])


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Put what is known in the place of Keras and of the Hub's cache."""
    known = {"name": "tensorflow", "gpus": ["NVIDIA H200"], "precision": "float32", "error": None}
    monkeypatch.setattr(doctor, "_backend", lambda: known)
    (tmp_path / "models--org--a" / "blobs").mkdir(parents=True)
    (tmp_path / "models--org--a" / "blobs" / "weights").write_bytes(b"x" * 2_500_000)
    with contextlib.suppress(OSError):
        (tmp_path / "models--org--a" / "link").symlink_to("blobs/weights")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return known


def test_what_there_is_is_told(tmp_path):
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert kerasgan3d.__version__ in lines["kerasgan3d"]
    assert metadata.version("keras") in lines["keras"]
    assert "NVIDIA H200" in lines["GPUs"]
    assert "nmc-cathode" in lines["generators"]
    assert lines["cache"].endswith(f"{tmp_path}, 2.5 MB")
    assert "cores" in lines["processor"]


def test_json_has_the_same():
    result = run("--json")
    facts = json.loads(result.stdout)
    assert facts["packages"]["numpy"] == metadata.version("numpy")
    assert facts["backend"]["name"] == "tensorflow"
    assert facts["cpu"]["cores"] >= 1
    assert facts["cache"]["bytes"] == 2_500_000
    assert facts["python"].startswith("3.")


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="no /proc/cpuinfo")
def test_features_of_the_processor_are_those_that_matter():
    assert set(doctor._cpu()["features"]) <= {"avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"}


def test_a_keras_that_cannot_be_imported_is_said_last(quick):
    quick |= {"name": "jax", "error": "No module named 'jax'"}
    result = run("--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["backend"]["error"] == "No module named 'jax'"
    assert result.stderr == "kerasgan3d: Keras cannot be imported: No module named 'jax'\n"


def test_what_extras_lack(monkeypatch):
    installed = {"whole": [], "half": ['part>=1; extra == "more"', 'whole; extra == "more"']}

    class Found:
        def __init__(self, name):
            if name not in installed:
                raise metadata.PackageNotFoundError(name)
            self.requires = installed[name]

    monkeypatch.setattr(doctor.metadata, "distribution", Found)
    for text, extra, missing in (
        ("numpy>=2", "mesh", []),
        ('whole>=1; extra == "mesh"', "mesh", []),
        ('gone>=1; extra == "mesh"', "mesh", ["gone"]),
        ('gone>=1; extra == "view"', "mesh", []),
        ('half[more]; extra == "mesh"', "mesh", ["part"]),
        ("gone; extra == 'gpu' and sys_platform == 'none'", "gpu", []),
    ):
        assert list(doctor._missing(Requirement(text), extra)) == missing, text


def test_extras_are_those_for_users():
    extras = doctor._extras()
    assert {"codecs", "mesh", "view", "torch", "gpu"} <= set(extras)
    assert not {"dev", "docs", "peers", "test"} & set(extras)
    assert extras["codecs"]["install"] == 'pip install "kerasgan3d[codecs]"'
