"""``kerasgan3d compare``."""

from pathlib import Path

import click

from kerasgan3d.cli.hub import check_there, pulled
from kerasgan3d.cli.options import (
    Box,
    DefaultOption,
    WholeNumber,
    complete_files_and_generators,
    exclude_option,
    fill_gaps_option,
    json_option,
    map_option,
    overwrite_option,
    phases_option,
    refuse_given,
    tolerance_option,
    voxel_size_option,
)
from kerasgan3d.cli.output import echo, in_words, print_json, print_table, refuse_existing
from kerasgan3d.cli.progress import progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow

_WORTH_SAYING = 20  # seconds


@click.command(
    "compare",
    epilog="""\b
Examples:
  kerasgan3d compare scan.tif nmc-cathode -n 100 -o report.html
  kerasgan3d compare slice.tif run --map 0=pore,128=Ni,255=YSZ --voxel-size 0.065 -o report.html
  kerasgan3d compare nmc-cathode run -n 20 --no-transport --json
  kerasgan3d compare scan.tif run --hold-out 0:64,:,:
""",
)
@click.argument("real", shell_complete=complete_files_and_generators)
@click.argument("generated", shell_complete=complete_files_and_generators)
@click.option(
    "-n",
    "--count",
    cls=DefaultOption,
    type=WholeNumber(min=2),
    metavar="N",
    show_default="100",
    help="Number of sub-volumes on each side.",
)
@click.option(
    "--size",
    cls=DefaultOption,
    type=WholeNumber(min=4),
    metavar="N",
    show_default="64, or that of the statistics",
    help="Voxels per side of a sub-volume.",
)
@click.option(
    "--seed",
    cls=DefaultOption,
    type=WholeNumber(0, 2**32 - 1),
    metavar="N",
    show_default="0",
    help="Seed of all random choices.",
)
@phases_option
@map_option
@tolerance_option
@voxel_size_option
@fill_gaps_option
@exclude_option
@click.option(
    "--hold-out",
    type=Box(),
    metavar="z0:z1,y0:y1,x0:x1",
    help="A block that training did not use: three comparisons, with the training part, with the block, and between "
    "the two.",
)
@click.option("--no-transport", is_flag=True, help="Skip diffusion.")
@click.option(
    "--particles",
    is_flag=True,
    help="Also compare particles (median diameters, sphericities, contacts), lineal paths and profiles. Slow.",
)
@click.option("--no-classifier", is_flag=True, help="Skip the classifier that separates real from generated.")
@click.option(
    "--nearest",
    cls=DefaultOption,
    type=WholeNumber(min=0),
    metavar="N",
    show_default="8",
    help="Number of generated sub-volumes whose nearest match in the real image is searched, to detect copies.",
)
@click.option(
    "--periodic-volumes",
    cls=DefaultOption,
    type=WholeNumber(min=0),
    metavar="N",
    show_default="16",
    help="Number of periodic volumes to generate and check for seams; 2 or more, 0 for none.",
)
@click.option("--periodic", type=WholeNumber(min=0), hidden=True, help="Old name of --periodic-volumes.")
@click.option(
    "--workers",
    cls=DefaultOption,
    type=WholeNumber(min=1),
    metavar="N",
    show_default="one per core",
    help="Number of processes that measure in parallel.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A report (.html) or the numbers (.json). Repeat it for both.",
)
@overwrite_option
@json_option
def command(
    real,
    generated,
    mapping,
    exclude,
    hold_out,
    no_transport,
    no_classifier,
    outputs,
    overwrite,
    as_json,
    periodic,
    **options,
):
    """Compare generated microstructures with a real one, in a table and a report.

    REAL is a segmented image (a volume or a slice), or a generator, whose stored statistics of its training image are
    then used. GENERATED is a generator that ``kerasgan3d list`` prints, the folder of one, org/name on the Hugging Face
    Hub, a volume, or a folder of volumes.
    """
    import kerasgan3d
    from kerasgan3d.report.comparison import check_output
    from kerasgan3d.report.held_out import compare_held_out

    if hold_out is not None:
        refused = {"-o": outputs, "--exclude": exclude}
        refuse_given("not possible with --hold-out, which prints three comparisons", refused)
    outputs = tuple(dict.fromkeys(outputs))
    for path in outputs:
        check_output(path)
        refuse_existing(path, overwrite)
    if periodic is not None:
        echo("--periodic is called --periodic-volumes now; the old name goes with the next release", err=True)
        options["periodic_volumes"] = periodic
    # Omit options that were not given: only `kerasgan3d.compare` has the defaults.
    given = {key: value for key, value in options.items() if value is not None and value is not False}
    given |= {"mapping": mapping, **({} if hold_out is not None else {"exclude": list(exclude) or None})}
    given |= {"transport": not no_transport, "classifier": not no_classifier}
    for name in (real, generated):
        check_there(name)
    real, generated = pulled(real), pulled(generated)
    with quiet_tensorflow() as stderr, progress_bar("comparing", stderr) as bar:
        told = []

        def progress(done, seconds, _):
            if not told and seconds >= _WORTH_SAYING and stderr is not None:
                each = "" if hold_out is None else " for each of three comparisons"
                stderr.write(f"kerasgan3d: this takes about {in_words(seconds)}{each} on two cores\n")
            told.append(done)
            if bar is not None:
                bar(done, seconds)

        if hold_out is not None:
            found = compare_held_out(_real(real), _generated(generated), hold_out, progress=progress, **given)
        else:
            comparison = kerasgan3d.compare(_real(real), _generated(generated), progress=progress, **given)
    if hold_out is not None:
        _print_parts(found, as_json)
        return
    # Results that took long are printed first, and written wherever possible.
    if as_json:
        print_json(comparison.to_dict())
    else:
        echo(comparison)
    failed = None
    for path in outputs:
        try:
            comparison.save(path, overwrite=overwrite)
            if not as_json:
                echo(f"wrote {path}")
        except OSError as error:
            failed = failed or error
    if failed:
        raise failed


def _print_parts(found, as_json):
    """Print what `compare_held_out` returns: for each comparison its conclusion and the worst of each test."""
    from kerasgan3d.report.verdict import conclusion, verdict_text

    if as_json:
        print_json({part: comparison.to_dict() for part, comparison in found.items()})
        return
    records = {part: comparison.record for part, comparison in found.items()}
    for part, record in records.items():
        echo(f"{part}: {conclusion(record.verdicts, record.unit_of_samples)}")
    # The worst phase of each test: verdicts are worst first.
    worst = [{v.test: verdict_text(v) for v in reversed(record.verdicts)} for record in records.values()]
    tests = dict.fromkeys(test for part in worst for test in part)
    echo()
    rows = [(test, *(part.get(test, "-") for part in worst)) for test in tests]
    print_table(("TEST", *map(str.upper, records)), rows)


def _real(name):
    """Resolve a name to the folder of a generator or the path of an image."""
    import kerasgan3d

    return kerasgan3d.zoo.path(name) if kerasgan3d.zoo.is_generator(name) else Path(name)


def _generated(name):
    """Resolve a name to a generator or the path of volumes."""
    import kerasgan3d

    return kerasgan3d.load_generator(name) if kerasgan3d.zoo.is_generator(name) else Path(name)
