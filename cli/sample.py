"""``kerasgan3d sample``."""

import contextlib
import math
import time
from dataclasses import replace
from pathlib import Path

import click

from kerasgan3d.cli.group import CommandError
from kerasgan3d.cli.hub import takes_generators
from kerasgan3d.cli.options import (
    Axes,
    Blend,
    NumbersCommand,
    Size,
    WholeNumber,
    complete_generators,
    fraction_options,
    json_option,
    overwrite_option,
)
from kerasgan3d.cli.output import by, echo, in_bytes, in_words, print_facts, print_json, print_table, refuse_existing
from kerasgan3d.cli.progress import progress_bar
from kerasgan3d.cli.quiet import quiet_tensorflow
from kerasgan3d.cli.series import Series, numbered

_STREAMED_FROM = 256**3  # voxels; larger volumes are streamed, to save memory and to survive interruptions


@click.command(
    "sample",
    cls=NumbersCommand,
    epilog="""\b
Examples:
  kerasgan3d sample nmc-cathode --size 128 --periodic --seed 0 -o cathode.tif
  kerasgan3d sample nmc-cathode --size 64 256 256 --periodic-axes yx -o slab.vti
  kerasgan3d sample my-electrode --size 512 128 128 --fraction pore=0.30:0.50 -o graded.tif
  kerasgan3d sample nmc-cathode --size 512 128 128 --seed 1 --blend 2=0:0:1:1 -o from-1-to-2.tif
  kerasgan3d sample nmc-cathode --size 64 --seed 0 --count 20 -o cathode.tif
  kerasgan3d sample nmc-cathode --size 1024 --dry-run
  kerasgan3d sample nmc-cathode --size 1024 --periodic --seed 0 -o cathode.zarr
""",
)
@click.argument("name", shell_complete=complete_generators)
@click.option("--size", type=Size(), required=True, help="Voxels: one number, or three for z, y and x.")
@click.option("--periodic", is_flag=True, help="Make the volume periodic along all axes.")
@click.option("--periodic-axes", type=Axes(), help="Make it periodic along these axes only, such as yx.")
@click.option(
    "--seed",
    type=WholeNumber(0, 2**64 - 1),
    metavar="N",
    help="Seed of the structure: the same seed gives the same voxels. Drawn and printed if left out.",
)
@click.option(
    "--count",
    type=WholeNumber(min=1),
    metavar="N",
    help="Generate N volumes with --seed and the following seeds, and write NAME-SEED.tif for each. Repeat the "
    "command to resume after an interruption.",
)
@click.option(
    "--offset",
    type=int,
    nargs=3,
    default=(0, 0, 0),
    metavar="Z Y X",
    help="Position of the volume in the endless structure of the seed, in voxels.",
)
@fraction_options
@click.option(
    "--blend",
    type=Blend(),
    metavar="SEED=T[:T...]",
    help="Another seed to blend in, with a weight from 0 (none of it) to 1 (only it), or a profile along z "
    "(7=0:0:1:1) or another axis (7=x:0:1).",
)
@click.option("--tile", type=WholeNumber(min=1), metavar="N", help="Voxels per side computed at once.")
@click.option("--batch", type=WholeNumber(min=1), metavar="N", help="Tiles computed at once.")
@click.option(
    "--probabilities", is_flag=True, help="Also write the probability of each phase, as NAME-probabilities.tif."
)
@click.option(
    "--workers", type=WholeNumber(min=1), metavar="N", help="Share the work among N processes (.zarr and .tif)."
)
@click.option("--dask", metavar="ADDRESS", help="Share the work among the workers of a Dask cluster (.zarr and .tif).")
@click.option("--restart", is_flag=True, help="Discard an interrupted volume and start over.")
@click.option("--dry-run", is_flag=True, help="Print the plan with its memory, disk space and time; write nothing.")
@json_option
@overwrite_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file: .tif, .npy, .zarr or .vti.")
@takes_generators("name")
def command(
    name,
    size,
    periodic,
    periodic_axes,
    seed,
    count,
    offset,
    fractions,
    blend,
    beyond,
    tile,
    batch,
    probabilities,
    workers,
    dask,
    restart,
    dry_run,
    as_json,
    overwrite,
    output,
):
    """Generate a volume.

    Volumes of more than 256^3 voxels are written to .zarr and .tif files part by part, in little memory; repeat the
    command to resume after an interruption.

    NAME is a generator that ``kerasgan3d list`` prints, the folder of a generator that you trained, or org/name on the
    Hugging Face Hub.
    """
    import kerasgan3d

    job = _job(name, size, periodic=periodic_axes or periodic, offset=offset, seed=seed, tile=tile, batch=batch)
    how = {"streams": _streams(job, output, probabilities, workers, dask), "probabilities": probabilities}
    how |= {"resume": not restart, "overwrite": overwrite, "workers": workers, "dask": dask}
    series, jobs, places = None, [job], [output]
    if count is not None and output is not None:
        if dry_run:
            seeds = ["SEED"] if seed is None else range(seed, seed + count)
        else:
            what = {"job": _what(name, job), "fractions": fractions, "beyond": beyond, "blend": blend}
            what["probabilities"] = probabilities
            series = Series(output, what, seed, count, restart=restart)
            seeds, how["overwrite"] = series.seeds, overwrite or series.resumed
            jobs = [replace(job, seed=each) for each in seeds]
        places = [numbered(output, each) for each in seeds]
    outputs = [_check_outputs(place, probabilities, how["overwrite"], dry_run, how["streams"]) for place in places]
    if not (how["streams"] or dry_run):
        job.check_memory()

    with quiet_tensorflow() as stderr:
        generator = kerasgan3d.load_generator(name)
        jobs = [generator.job(job, fractions=fractions, beyond=beyond, blend=blend) for job in jobs]
        if dry_run:
            # One float32 per phase and voxel: more than labels and network together.
            maps = 4 * len(generator.phases) * jobs[0].plan.bytes_output if probabilities else None
            cost = generator.estimate(jobs[0], path=output, streams=how["streams"])
            cost = cost._replace(seconds=cost.seconds * (count or 1), disk=cost.disk and cost.disk * (count or 1))
            _print_plan(jobs[0].plan, cost, maps, [path for files in outputs for path in files], as_json)
            return
        if series is None:
            results = [_made(generator, jobs[0], outputs[0], how, "sampling", stderr)]
        else:
            results = _made_in_series(series, generator, jobs, outputs, how, stderr, as_json)
    if as_json:
        print_json(results[0] if series is None else results)
    elif series is None:
        _print_result(results[0])
    else:
        _print_series(results)


def _made_in_series(series, generator, jobs, outputs, how, stderr, as_json):
    """Generate the missing volumes of a series; return the results of all."""
    results = []
    series.begin()
    try:
        for job, files in zip(jobs, outputs, strict=True):
            result = series.result(job.seed)
            if result is None:
                title = f"sampling {len(results) + 1} of {len(jobs)}"
                result = _made(generator, job, files, how, title, stderr)
                series.note(result)
                if not as_json:
                    echo(f"wrote {', '.join(map(str, files))}")
            results.append(result)
    except KeyboardInterrupt as error:
        raise CommandError(
            f"interrupted; {len(results)} of {len(jobs)} volumes are there: the same command goes on", exit_code=130
        ) from error
    series.end()
    return results


def _made(generator, job, outputs, how, title, stderr):
    """Generate a volume and its files; return its facts as a dict."""
    import kerasgan3d

    if how["streams"]:
        found = _stream(generator, outputs[0], job, how, title, stderr)
        job = replace(job, seed=found.seed)
        return _result(outputs, job, generator, found.fractions, found.checksum, found.seconds)
    began = time.perf_counter()
    with progress_bar(title, stderr) as progress:
        volume = generator.sample(job, progress=progress)
    job = replace(job, seed=volume.provenance["seed"])
    maps = None
    if how["probabilities"]:
        with progress_bar("probabilities", stderr) as progress:
            maps = generator.sample_probabilities(job, progress=progress)
    seconds = time.perf_counter() - began
    if maps is not None:
        kerasgan3d.io.write_probabilities(
            maps, outputs[1], volume.phases, volume.voxel_size, overwrite=how["overwrite"]
        )
    kerasgan3d.io.write(volume, outputs[0], overwrite=how["overwrite"])
    checksum = kerasgan3d.io.checksum(volume.labels)
    return _result(outputs, job, generator, volume.fractions, checksum, seconds)


def _streams(job, output, probabilities, workers, dask):
    """Tell whether the volume is written part by part.

    Raises:
        click.UsageError: if that is impossible but an option requires it.
    """
    import kerasgan3d

    ctx = click.get_current_context()
    if workers and dask:
        raise click.UsageError("Either --workers or --dask, not both.", ctx)
    able = output is not None and output.suffix.lower() in kerasgan3d.io.STREAM_SUFFIXES and not probabilities
    if (workers or dask) and not able and output is not None:
        raise click.UsageError("--workers and --dask need an output .zarr or .tif, without --probabilities.", ctx)
    return able and bool(workers or dask or math.prod(job.size) > _STREAMED_FROM)


def _stream(generator, path, job, how, title, stderr):
    """Write a volume part by part."""
    given = {name: how[name] for name in ("resume", "overwrite", "workers")}
    with contextlib.ExitStack() as stack:
        if how["dask"]:
            from distributed import Client

            try:
                given["client"] = stack.enter_context(Client(how["dask"], timeout=30))
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"`--dask` must be the address of a Dask cluster that answers. Received: {how['dask']}."
                ) from error
        progress = stack.enter_context(progress_bar(title, stderr, "voxels"))
        try:
            return generator.stream(path, job, progress=progress, **given)
        except KeyboardInterrupt as error:
            raise CommandError(
                f"interrupted; what was written is kept in {path}.partial: the same command goes on", exit_code=130
            ) from error


def _what(name, job):
    """Return the facts that identify a job's structure, except its seed, as in JSON."""
    import kerasgan3d

    weights = (kerasgan3d.zoo.info(name).get("weights") or {}).get("sha256")
    return {"weights": weights, "size": job.size, "periodic": job.periodic, "offset": job.offset}


def _job(name, size, **options):
    """Make the job before anything is loaded, since Keras takes seconds to import.

    Raises:
        ValueError: if there is no such generator, or a number does not fit it.
    """
    import kerasgan3d

    widths = (kerasgan3d.zoo.info(name).get("generator") or {}).get("widths")
    # Every up-sampling layer doubles the resolution; one follows each width.
    stride = 2 ** len(widths) if isinstance(widths, list) else 1
    return kerasgan3d.sampling.SamplingJob(size, stride=stride, **options)


def _check_outputs(output, probabilities, overwrite, dry_run, streams):
    """Return the files to be written.

    A stream that was interrupted while its file was moved into place resumes although the file exists.

    Raises:
        click.UsageError: if no output was given.
        ValueError, OSError: if one of them cannot be written.
    """
    import kerasgan3d

    if output is None:
        if dry_run:
            return []
        raise click.UsageError("Missing option '-o': the file to write.", click.get_current_context())
    outputs = [output]
    kerasgan3d.io.check_writable(output)
    if probabilities:
        outputs.append(output.with_name(f"{output.stem}-probabilities{output.suffix}"))
        kerasgan3d.io.check_writable(outputs[1], suffixes=kerasgan3d.io.PROBABILITY_SUFFIXES)
    begun = streams and kerasgan3d.io.partial_path(output).exists()
    for path in outputs:
        refuse_existing(path, overwrite or begun)
    return outputs


def _print_plan(plan, cost, maps, outputs, as_json):
    """Print a plan; `maps` is the number of bytes of the probabilities, None where there are none."""
    if as_json:
        keys = ("size", "tiles", "tile_shape", "latent_shape", "bytes_output")
        facts = {key: getattr(plan, key) for key in keys}
        facts |= {"seconds": cost.seconds, "bytes_memory": cost.memory, "bytes_disk": cost.disk}
        print_json({**facts, **({} if maps is None else {"bytes_probabilities": maps}), "outputs": outputs})
        return
    echo(plan.describe())
    echo(f"{'time':<8}about {in_words(cost.seconds)}, as this machine is now")
    if cost.memory is not None:
        echo(f"{'memory':<8}about {in_bytes(cost.memory)}, libraries included")
    if cost.disk is not None:
        echo(f"{'disk':<8}about {in_bytes(cost.disk)}")
    if maps is not None:
        echo(f"{'maps':<8}{in_bytes(maps)} of probabilities, in memory too")
    for path in outputs:
        echo(f"would write {path}")


def _result(outputs, job, generator, fractions, checksum, seconds):
    """Return the facts of a volume in the form of the JSON output."""
    size = generator.voxel_size
    return {
        "outputs": outputs,
        "shape": job.size,
        "voxel_size": size,
        "size_um": None if size is None else [n * size for n in job.size],
        "periodic": job.periodic,
        "fractions": {phase: float(share) for phase, share in zip(generator.phases, fractions, strict=True)},
        "seed": job.seed,
        "checksum": checksum,
        "seconds": round(seconds, 3),
    }


def _print_result(result):
    print_facts(
        [
            *(("wrote", path) for path in result["outputs"]),
            *_size_facts(result),
            ("fractions", ", ".join(f"{phase} {fraction:.3f}" for phase, fraction in result["fractions"].items())),
            ("seed", result["seed"]),
            ("checksum", result["checksum"]),
            ("time", f"{result['seconds']:.1f} s"),
        ]
    )


def _print_series(results):
    phases = list(results[0]["fractions"])
    rows = [
        (str(row["outputs"][0]), str(row["seed"]), *(f"{row['fractions'][phase]:.3f}" for phase in phases))
        for row in results
    ]
    print_table(("FILE", "SEED", *phases), rows)
    print_facts([*_size_facts(results[0]), ("time", f"{sum(row['seconds'] for row in results):.1f} s")])


def _size_facts(result):
    from kerasgan3d.checks import axis_letters  # imports NumPy, which would delay help

    axes, size = axis_letters(result["periodic"]), result["voxel_size"]
    lengths = by(float(f"{length:.4g}") for length in result["size_um"]) if result["size_um"] else None
    return [
        ("voxels", by(result["shape"]) + (f", periodic along {', '.join(axes)}" if axes else "")),
        ("extent", f"{lengths} µm, voxels of {size:g} µm" if lengths else "unknown voxel size"),
    ]
