import io

from kerasgan3d.cli.progress import progress_bar


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
