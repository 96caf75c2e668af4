"""A group of commands that are imported when called and report errors in one line."""

import contextlib
import importlib
import io
import signal
import sys
import warnings

import click

from kerasgan3d.cli.advice import with_options
from kerasgan3d.texts import clipped, printable

# Errors due to the user's input or the machine. All others are defects and keep their tracebacks.
USER_ERRORS = (ValueError, OSError, MemoryError)
_INTERRUPTED = 130
_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_LONGEST_ERROR = 4000  # characters: a message may quote a whole file
_BACKENDS = ("jax", "openvino", "tensorflow", "torch")


class CommandGroup(click.Group):
    """A click group over a table of commands.

    Errors in the user's input end the program with exit code 2 and one line on stderr, an interrupt with 130, and
    other signals (SIGTERM, SIGHUP) with 128 plus their number, after temporary files are removed.

    Args:
        table: dict from command name to (module, one line of help); the module's ``command`` is the click command.
    """

    def __init__(self, *args, table, **kwargs):
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx):
        """Return the names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx, cmd_name):
        """Import a command by its name; return None for an unknown name."""
        if cmd_name not in self.table:
            return None
        return importlib.import_module(self.table[cmd_name][0]).command

    def resolve_command(self, ctx, args):
        """Find the command that is called.

        Raises:
            click.UsageError: if there is no such command.
        """
        if args[0] not in self.table and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {args[0]!r}. Commands: {', '.join(self.table)}.", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx, formatter):
        """Write the commands and their help from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

    def invoke(self, ctx):
        """Run the command; report errors in one line unless ``--debug`` was given."""
        try:
            with _reported_warnings():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise CommandError("interrupted", exit_code=_INTERRUPTED) from error
        except BrokenPipeError:
            raise
        except (*USER_ERRORS, ModuleNotFoundError) as error:
            if ctx.params.get("debug"):
                raise
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            raise CommandError(with_options(_message(error, command), command)) from error

    def main(self, args=None, prog_name="kerasgan3d", standalone_mode=True, **extra):
        """Run the program; with ``standalone_mode`` it ends in `SystemExit`, like click's."""
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show "µ" is no reason to lose the result.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        if sys.flags.optimize > 1:
            _report(
                "python -OO drops the texts of the help and docstrings that libraries need: use python, or python -O"
            )
            sys.exit(2)
        with _ending_as_interrupted() as came:
            self._run(args, prog_name, extra, came)

    def _run(self, args, prog_name, extra, came):
        """Run the program and end it in `SystemExit`; ``came`` holds the signals that ended it."""
        try:
            result = super().main(args, prog_name, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _report(_with_hint(error))
            sys.exit(128 + came[0] if came and error.exit_code == _INTERRUPTED else error.exit_code)
        except click.Abort:
            _report("interrupted")
            sys.exit(128 + came[0] if came else _INTERRUPTED)
        sys.exit(result if isinstance(result, int) else 0)


@contextlib.contextmanager
def _ending_as_interrupted():
    """Turn signals that end the program into interrupts, so that no partial file is left; yield those received."""
    came, before = [], {}

    def interrupt(number, _):
        came.append(number)
        raise KeyboardInterrupt

    for number in _ENDS:
        if signal.getsignal(number) == signal.SIG_DFL:  # not under `nohup`, nor where someone else handles it
            with contextlib.suppress(ValueError):  # in another thread than the main one
                before[number] = signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _reported_warnings():
    """Report each warning about voxel sizes or missing slices once, in one line; after an error report none."""
    said = {}

    def show(message, category, *place, **where):
        if not issubclass(category, UserWarning):
            return usual(message, category, *place, **where)
        said[str(message)] = None

    with warnings.catch_warnings():
        usual, warnings.showwarning = warnings.showwarning, show
        warnings.filterwarnings("always", message="the voxel size that is given", category=UserWarning)
        warnings.filterwarnings("always", message=".* are missing, and filled", category=UserWarning)
        yield
    for message in said:
        _report(f"warning: {message}")


class CommandError(click.ClickException):
    """An error that is reported in one line."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # pyright: ignore[reportAttributeAccessIssue] click reads it of the instance


def _report(message):
    line = printable(" ".join(clipped(message, _LONGEST_ERROR).split()))
    click.echo(f"kerasgan3d: {line}", err=True)


def _with_hint(error):
    message = error.format_message().rstrip(".")
    message += "" if message.endswith("?") else "."
    ctx = getattr(error, "ctx", None)
    return f"{message} See: {ctx.command_path} --help" if ctx is not None else error.format_message()


def _message(error, command):
    if isinstance(error, MemoryError):
        options = {option for param in command.params for option in param.opts} if command else set()
        smaller = " or ".join(option for option in ("--size", "--tile", "--batch", "--block") if option in options)
        return f"not enough memory{f'; a smaller {smaller} needs less' if smaller else ''}. {error}"
    if isinstance(error, ModuleNotFoundError) and not isinstance(error, ValueError):  # not of an extra
        named = ", which KERAS_BACKEND or keras.json names," if error.name in _BACKENDS else ""
        return f"the package {error.name}{named} is not installed: pip install {error.name}"
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"There must be a file or folder of that name. Received: {error.filename}, which does not exist"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
    return str(error) or type(error).__name__
