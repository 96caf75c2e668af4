"""A group of commands that are imported when called, and whose errors are one line each."""

import contextlib
import importlib
import io
import signal
import sys
import threading

import click

from kerasgan3d.cli.output import printable

# What a command may be told wrongly, or the machine may lack. Everything else is a defect and keeps its traceback.
USER_ERRORS = (ValueError, OSError, MemoryError)
_BACKENDS = ("jax", "openvino", "tensorflow", "torch")


class CommandGroup(click.Group):
    """A click group over a table of commands.

    Errors about what was given end the program with exit code 2 and one line on stderr, an interrupt with 130.

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
        """Import a command; None where there is none of that name."""
        if cmd_name not in self.table:
            return None
        return importlib.import_module(self.table[cmd_name][0]).command

    def resolve_command(self, ctx, args):
        """Find the command that is called.

        Raises:
            click.UsageError: there is no such command.
        """
        if args[0] not in self.table and not args[0].startswith("-"):
            raise click.UsageError(f"No such command {args[0]!r}. Commands: {', '.join(self.table)}.", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx, formatter):
        """Write the commands and their help from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

    def invoke(self, ctx):
        """Run the command; turn what went wrong into a line for the user, unless ``--debug`` was given."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise CommandError("interrupted", exit_code=130) from error
        except BrokenPipeError:
            raise
        except (*USER_ERRORS, ModuleNotFoundError) as error:
            if ctx.params.get("debug"):
                raise
            raise CommandError(_message(error)) from error

    def main(self, args=None, prog_name="kerasgan3d", standalone_mode=True, **extra):
        """Run the program; with ``standalone_mode`` it ends in `SystemExit`, as click's does."""
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show "µ" is no reason to lose the result.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        if sys.flags.optimize > 1:
            _report(
                "python -OO drops the texts of the help and what libraries need of theirs: use python, or python -O"
            )
            sys.exit(2)
        with _terminable() as exit_code:
            self._run(args, prog_name, extra, exit_code)

    def _run(self, args, prog_name, extra, exit_code):
        """Run the program and end it in `SystemExit`; ``exit_code()`` is that of an interrupt."""
        try:
            result = super().main(args, prog_name, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _report(_with_hint(error))
            sys.exit(error.exit_code if error.exit_code != 130 else exit_code())
        except click.Abort:
            _report("interrupted")
            sys.exit(exit_code())
        sys.exit(result if isinstance(result, int) else 0)


class CommandError(click.ClickException):
    """An error that is reported in one line."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # pyright: ignore[reportAttributeAccessIssue] click reads it of the instance


@contextlib.contextmanager
def _terminable():
    """Let SIGTERM end a command as Ctrl-C does: what it began is kept or taken away, and its workers end.

    Yields:
        A function that gives the exit code of an interrupt: 143 after SIGTERM, else 130.
    """
    received = []

    def stop(number, frame):
        received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: 130
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield lambda: 143 if received else 130
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(message):
    click.echo(f"kerasgan3d: {printable(' '.join(message.split()))}", err=True)


def _with_hint(error):
    message = error.format_message()
    ctx = getattr(error, "ctx", None)
    return f"{message.rstrip('.')}. See: {ctx.command_path} --help" if ctx is not None else message


def _message(error):
    if isinstance(error, MemoryError):
        return f"not enough memory; a smaller --size, --tile or --batch needs less. {error}"
    if isinstance(error, ModuleNotFoundError):
        named = ", which KERAS_BACKEND or keras.json names," if error.name in _BACKENDS else ""
        return f"the package {error.name}{named} is not installed: pip install {error.name}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
    return str(error) or type(error).__name__
