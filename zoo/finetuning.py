"""Fine-tuning: training of a pretrained generator on another material."""

import os
from pathlib import Path
from typing import Any

from kerasgan3d.models import Generator
from kerasgan3d.training import Recipe, train
from kerasgan3d.training.keeper import BEST
from kerasgan3d.training.run import Data, check_room
from kerasgan3d.zoo.card import complete
from kerasgan3d.zoo.loading import load_generator


def finetune(
    source: str | os.PathLike[str] | Generator,
    data: Data,
    output: str | os.PathLike[str],
    *,
    recipe: str | os.PathLike[str] | Recipe = "finetune",
    revision: str | None = None,
    **options: Any,
) -> Path | str:
    """Train a pretrained generator on another material, with the same number of phases, fewer or more.

        folder = finetune("nmc-cathode", "my-scan.tif", "run", phases=("pore", "NMC"), voxel_size=0.2)

    Architecture and initial weights are those of the pretrained generator, regardless of the recipe; the critics are
    new, and the generator's learning rate rises over the first ``warmup`` steps, in which they learn the data. Phases
    of the same name, ignoring case, keep their kernels of the last layer; the others take those of the phases with the
    closest volume fractions, or new ones where there are more phases than before. The result has the voxel size of the
    data. Structures that are much longer or shorter in voxels than those of the generator have to be learned anew:
    ``dry_run`` reports the ratio, and ``resample_to`` brings the data to another voxel size.

    Args:
        source: A name of ``kerasgan3d.zoo.list_presets()``, a preset folder, or a Generator, which is not changed.
        data: As for ``kerasgan3d.train``: a path of a segmented image, a list of paths of volumes or slices, or a dict
            from axis to slices.
        output: Folder of the run, created if necessary. ``output/best`` is a preset folder.
        recipe: Name or JSON file of a recipe, or a Recipe.
        revision: For a ``source`` with revisions, see ``kerasgan3d.load_generator``.
        options: All others of ``kerasgan3d.train`` but ``architecture``: phases, mapping, voxel_size, symmetry,
            exclude, mask, hold_out, resample_to, loss, precision, steps, minutes, patience, batch, size, warmup,
            monitor_every, devices, seed, resume, name, about, dry_run, tensorboard, progress, tick, say.

    Returns:
        Path of the preset folder, with card and picture; for a dry run, the plan as a text.

    Raises:
        ValueError: if there is no such generator, or the data, the recipe or an option is none of these.
        OSError: if a file cannot be read or written.
    """
    check_room(Path(output), options.get("resume", True))
    if isinstance(source, Generator):
        if revision is not None:
            raise ValueError(f"`revision` must be None where `source` is a Generator. Received: {revision!r}.")
        generator = source
    else:
        generator = load_generator(source, revision)
        if Path(output, BEST).resolve() in [Path(folder).resolve() for folder in (source, Path(source, BEST))]:
            raise ValueError(
                f"`output` must be another folder than that of the generator to start from, which would be replaced. "
                f"Received: {output} for both."
            )
    result = train(data, output, recipe=recipe, pretrained=generator, **options)
    return result if options.get("dry_run") else complete(result)
