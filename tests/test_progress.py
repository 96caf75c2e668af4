"""Who is shown a bar, and where."""

import contextlib
import io
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from kerasgan3d.progress import reported


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


@pytest.fixture
def notebook(monkeypatch):
    """What a Jupyter kernel has, and the pictures that it shows."""
    shown = []
    handle = SimpleNamespace(update=shown.append)
    display = ModuleType("IPython.display")
    display.HTML = str
    display.display = lambda html, display_id: shown.append(html) or handle
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=True)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def work(progress, stream):
    with contextlib.redirect_stderr(stream), reported(progress, "sampling", "voxels") as report:
        for done in (1, 2):
            if report is not None:
                report(done, 2)


@pytest.mark.parametrize("progress", [None, True])
def test_a_terminal_shows_a_bar(terminal, progress):
    work(progress, terminal)
    assert "sampling" in terminal.getvalue()


def test_without_a_terminal_nothing_is_written():
    stream = io.StringIO()
    work(None, stream)
    assert stream.getvalue() == ""


def test_false_shows_none(terminal, notebook):
    work(False, terminal)
    assert (terminal.getvalue(), notebook) == ("", [])


def test_a_function_is_told_instead(terminal):
    calls = []
    work(lambda *call: calls.append(call), terminal)
    assert (calls, terminal.getvalue()) == ([(1, 2), (2, 2)], "")


def test_a_notebook_shows_one_that_stays(terminal, notebook):
    work(None, terminal)
    assert terminal.getvalue() == ""
    assert '<progress value="0" max="1">' in notebook[0]
    assert '<progress value="2" max="2"></progress> 100 %' in notebook[-1]


def test_threads_show_none(terminal):
    thread = threading.Thread(target=work, args=(None, terminal))
    thread.start()
    thread.join()
    assert terminal.getvalue() == ""


def test_what_the_package_itself_asks_for_shows_none(terminal):
    ours = ModuleType("kerasgan3d.report.sources")
    exec("def ask(work): work(None)", vars(ours))
    theirs = ModuleType("their.script")
    exec("def ask(work): work(None)", vars(theirs))

    # The work itself lies in the room that samples.
    inside = ModuleType("kerasgan3d.models.sampling")
    exec("def sample(progress):\n with reported(progress, 'sampling') as report: seen.append(report)", vars(inside))
    inside.reported, inside.seen = reported, []
    with contextlib.redirect_stderr(terminal):
        ours.ask(inside.sample)
        theirs.ask(inside.sample)
    assert [report is None for report in inside.seen] == [True, False]
