"""What TensorFlow writes as it starts is not shown; everything else is, and a user's own settings win."""

import os
import subprocess
import sys

import pytest

WRITING = """
import os, sys
sys.modules["keras"] = None  # nothing is imported: what is written is made up
from kerasgan3d.quiet import without_noise
os.write(2, b"before\\n")
try:
    with without_noise():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
        os.write(2, b"I0000 00:00:1796008721.665271   19628 port.cc:153] oneDNN custom operations are on.\\n")
        os.write(2, b"To enable the following instructions: AVX2 FMA, rebuild TensorFlow.\\n")
        os.write(2, b"2026-01-01 10:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN\\n")
        print("a warning from Python", file=sys.stderr)
        os.write(2, b"Illegal instruction\\n")
        {last}
except RuntimeError:
    pass
os.write(2, b"after\\n")
"""


def stderr_of(script, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "GRPC_"))}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=kept | environment)
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_only_lines_of_tensorflow_are_left_out():
    told = stderr_of(WRITING.format(last="pass"))
    assert told == "before\na warning from Python\nIllegal instruction\nafter\n"


def test_all_is_shown_where_the_import_fails():
    assert "oneDNN custom operations" in stderr_of(WRITING.format(last="raise RuntimeError"))


def test_a_closed_stderr_is_no_obstacle():
    script = "import os, sys; sys.modules['keras'] = None; os.close(2)\nfrom kerasgan3d.quiet import without_noise\n"
    assert stderr_of(script + "with without_noise(): print('done')") == ""


@pytest.mark.slow
def test_tensorflow_is_silent_in_python_unless_it_is_asked_to_speak():
    script = (
        "from kerasgan3d.layers import CircularPad3D\nimport numpy as np\nCircularPad3D(1)(np.zeros((1, 2, 2, 2, 1)))"
    )
    assert stderr_of(script) == ""
    assert "oneDNN" in stderr_of(script, TF_CPP_MIN_LOG_LEVEL="0")
