import io
import threading
import time

import pytest

from kerasgan3d.cli.progress import Heartbeat, heartbeat, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_there_is_no_bar_without_a_terminal():
    stream = io.StringIO()
    with progress_bar("sampling", stream) as progress:
        assert progress is None
    assert stream.getvalue() == ""


def test_there_is_no_bar_without_a_stream():
    with progress_bar("sampling", None) as progress:
        assert progress is None


def test_a_terminal_shows_how_far_it_is(monkeypatch):
    # Some terminals cannot redraw a line; this one can.
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress_bar("sampling", stream) as progress:
        progress(25, 100)
        progress(50, 100)
    assert "sampling" in stream.getvalue()
    assert "50%" in stream.getvalue()


def test_lines_go_to_stdout_where_that_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress_bar("training", stream) as progress:
        progress.echo("step 1 of 2")
        print("plain")
    assert capsys.readouterr().out == "step 1 of 2\nplain\n"
    assert "step 1" not in stream.getvalue()


def test_lines_stand_above_the_bar_where_both_are_one_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    with progress_bar("training", terminal) as progress:
        progress.echo("step [1] of 2")
    lines = terminal.getvalue().splitlines()
    assert [line for line in lines if "step [1] of 2" in line][0].endswith("step [1] of 2")


def test_the_time_left_is_told_though_steps_are_minutes_apart(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream, now = Terminal(), [0.0]
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])
    with progress_bar("training", stream) as progress:
        for step in (100, 200, 300):
            now[0] += 100.0
            progress(step, 450)
    assert "0:02:30" in stream.getvalue()


def lines_within(stream, count, seconds=5.0):
    """The lines of a stream, once there are so many."""
    end = time.monotonic() + seconds
    while stream.getvalue().count("\n") < count and time.monotonic() < end:
        time.sleep(0.01)
    return stream.getvalue().splitlines()


def test_silence_is_broken_by_a_line_that_says_how_far_it_is(capsys):
    stream = io.StringIO()
    with Heartbeat("training", stream, every=0.05) as beat:
        assert lines_within(stream, 1)[0] == "training: begun, 0.0 min so far"
        beat.echo("data  scan.tif\nphases  pore")
        assert "training: data  scan.tif, 0.0 min so far" in lines_within(stream, 4)
        beat(3, 10)
        assert lines_within(stream, 8)[-1] == "training: 3 of 10 done, 0.0 min so far"
    assert capsys.readouterr().out == "data  scan.tif\nphases  pore\n"
    said = stream.getvalue()
    time.sleep(0.15)
    assert stream.getvalue() == said


def test_what_is_said_counts_as_a_line():
    stream = io.StringIO()
    with Heartbeat("training", stream, every=0.5) as beat:
        for _ in range(10):
            time.sleep(0.1)
            beat.echo("step")
    assert stream.getvalue() == ""


def test_there_is_a_line_a_minute_at_least():
    beat = Heartbeat("training", io.StringIO())
    assert beat._every < 60


@pytest.mark.parametrize(("stream", "kind"), [(io.StringIO(), "Heartbeat"), (Terminal(), "ProgressBar"), (None, None)])
def test_bars_are_for_terminals_and_heartbeats_for_the_rest(monkeypatch, stream, kind):
    monkeypatch.setenv("TERM", "xterm")
    before = set(threading.enumerate())
    with heartbeat("training", stream) as shown:
        assert (None if shown is None else type(shown).__name__) == kind
    assert not [thread for thread in set(threading.enumerate()) - before if "_beat" in thread.name]
