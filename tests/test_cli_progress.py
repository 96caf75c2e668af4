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


def test_a_terminal_shows_how_far_it_is(monkeypatch):
    # Some terminals cannot redraw a line; this one can.
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress_bar("sampling", stream) as progress:
        progress(25, 100)
        progress(50, 100)
    assert "sampling" in stream.getvalue()
    assert "50%" in stream.getvalue()
