"""Keep TensorFlow's messages off the user's terminal."""

import contextlib
import os
import sys
import tempfile

import click


@contextlib.contextmanager
def quiet_tensorflow():
    """Run a block in which Keras is imported and used, without TensorFlow's messages on stderr.

    Settings silence most of them; a few lines come from libraries without such a setting (oneDNN, absl before its
    start, CUDA plug-ins), so that file descriptor 2 itself is redirected. What was written is shown if the block fails
    for a reason that is not the user's. ``kerasgan3d --debug`` shows everything.

    Yields:
        A text stream to the real stderr, for progress and messages of our own.
    """
    ctx = click.get_current_context(silent=True)
    if ctx is not None and ctx.find_root().params.get("debug"):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0")
        yield sys.stderr
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with contextlib.ExitStack() as stack:
        try:
            terminal = os.dup(2)
        except OSError:
            # Closed, as for some services: nobody reads it.
            yield sys.stderr
            return
        stack.callback(os.close, terminal)
        stream = stack.enter_context(_stream_to(terminal))
        try:
            messages = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # no folder for temporary files: run the block all the same
            messages = stack.enter_context(open(os.devnull, "r+b"))
        sys.stderr.flush()
        os.dup2(messages.fileno(), 2)
        try:
            yield stream
        except (
            click.ClickException,
            click.Abort,
            ModuleNotFoundError,
            ValueError,
            OSError,
            MemoryError,
            KeyboardInterrupt,
        ):
            raise
        except BaseException:
            messages.seek(0)
            stream.write(messages.read().decode(errors="replace"))
            raise
        finally:
            sys.stderr.flush()
            stream.flush()
            os.dup2(terminal, 2)


@contextlib.contextmanager
def _stream_to(descriptor):
    """Yield a stream to a descriptor, or ``sys.stderr`` itself where it does not write to descriptor 2."""
    try:
        direct = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):
        direct = False
    if not direct:
        yield sys.stderr
        return
    with open(
        os.dup(descriptor), "w", encoding=sys.stderr.encoding, errors="replace", buffering=1, newline=None
    ) as stream:
        yield stream
