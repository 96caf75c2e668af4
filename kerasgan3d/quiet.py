"""Import Keras without TensorFlow's start-up lines on stderr. Modules that use Keras import this module first.

Settings silence most of these lines, and a user's own settings win: with TF_CPP_MIN_LOG_LEVEL below 3 everything is
shown. A few lines come from libraries without such a setting; they are filtered out while Keras is imported.
"""

import contextlib
import importlib
import os
import re
import sys
import tempfile

_NOISE = re.compile(
    rb"WARNING: All log messages before absl::|[IWE]\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
    rb"|To enable the following instructions:"
)


@contextlib.contextmanager
def without_noise():
    """Run a block without TensorFlow's lines on file descriptor 2.

    Other lines appear once the block ends; if it fails, all lines appear.
    """
    with contextlib.ExitStack() as stack:
        try:
            terminal = os.dup(2)
            stack.callback(os.close, terminal)
            messages = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # a closed stderr, or no folder for temporary files: import all the same
            yield
            return
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(messages.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(terminal, 2)
            messages.seek(0)
            for line in messages:
                if failed or not _NOISE.match(line):
                    os.write(2, line)


def import_keras():
    """Import Keras and its backend."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if os.environ["TF_CPP_MIN_LOG_LEVEL"] != "3" or "keras" in sys.modules:
        return
    with without_noise():
        importlib.import_module("keras")


import_keras()
