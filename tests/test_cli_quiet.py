import subprocess
import sys

import pytest

QUIETLY = "from kerasgan3d.cli.quiet import quiet_tensorflow\nwith quiet_tensorflow():\n"
SCRIPT = """
import os, sys
from kerasgan3d.cli.quiet import quiet_tensorflow
with quiet_tensorflow() as stderr:
    os.write(2, b"from a library in C\\n")
    print("a warning from Python", file=sys.stderr)
    print("progress", file=stderr)
    {last}
print("afterwards", file=sys.stderr)
"""


def run(last="pass"):
    return subprocess.run([sys.executable, "-c", SCRIPT.format(last=last)], capture_output=True, text=True)


def test_only_our_own_lines_reach_stderr():
    result = run()
    assert result.returncode == 0
    assert result.stderr == "progress\nafterwards\n"


@pytest.mark.parametrize("error", ["ValueError", "OSError", "KeyboardInterrupt"])
def test_errors_about_what_was_given_do_not_bring_the_noise_back(error):
    result = run(f"raise {error}('wrong')")
    assert "from a library" not in result.stderr
    assert f"{error}: wrong" in result.stderr


def test_defects_bring_everything_back():
    result = run("raise RuntimeError('defect')")
    assert "from a library in C\na warning from Python\n" in result.stderr
    assert "RuntimeError: defect" in result.stderr


def test_a_closed_stderr_is_no_obstacle():
    script = f"import os; os.close(2)\n{QUIETLY}    print('done')"
    assert subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True).stdout == "done\n"


@pytest.mark.slow
def test_tensorflow_is_silent():
    script = f"{QUIETLY}    import keras\n    keras.ops.ones(3) + 1"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
