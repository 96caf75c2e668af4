"""The card and the picture of a preset folder, made from its files."""

import re
from pathlib import Path

from kerasgan3d.checks import is_integer
from kerasgan3d.data import Symmetry
from kerasgan3d.files import replacing
from kerasgan3d.folder import CARD, PREVIEW, README, REFERENCE, WEIGHTS, architectures, read_facts, read_statistics
from kerasgan3d.texts import code, json_text, markdown, printable
from kerasgan3d.zoo.comparison_text import comparison_text
from kerasgan3d.zoo.hub_address import REPOSITORY
from kerasgan3d.zoo.loading import list_presets, path
from kerasgan3d.zoo.tuning_text import tuning_text

_TEMPLATE = Path(__file__).resolve().parent / "card.md"
TAGS = (  # on the Hub
    "kerasgan3d",
    "microstructure",
    "materials-science",
    "porous-media",
    "3d",
    "generative-adversarial-network",
)
# The Hub's identifiers of licences, by their customary names.
_LICENCES = {
    name: name.replace(" ", "-")
    for name in (
        *("mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "unlicense", "cc0-1.0", "cc"),
        *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0"),
        *("cc by 4.0", "cc by-sa 4.0", "cc by-nc 4.0", "apache 2.0"),
    )
}
_COLUMNS = ("real", "generated", "real_std", "generated_std")


def complete(folder, *, size=128, seed=0):
    """Write ``README.md`` (the card) and ``preview.png`` into a preset folder, from its files.

    Args:
        folder: Path of the preset folder.
        size: Edge length in voxels of the periodic volume in the picture.
        seed: Its seed.

    Returns:
        Path of the folder.

    Raises:
        ValueError, OSError: if the folder is incomplete or cannot be written.
    """
    from kerasgan3d.models.preset import load_preset
    from kerasgan3d.report import render

    folder = Path(folder)
    volume = load_preset(folder).sample(size, periodic=True, seed=seed)
    render(volume, folder / PREVIEW, title=None)
    with replacing(folder / README) as temporary:
        temporary.write_text(card_text(folder), "utf-8")
    return folder


def card_text(folder, source=None):
    """Return the card of a preset folder; every number comes from its files.

    Args:
        folder: Path of the folder.
        source: Argument of `load_generator` in the card's example; the shipped name or the folder if None.

    Raises:
        ValueError, FileNotFoundError: if the folder is incomplete.
    """
    facts = read_facts(folder)
    phases = facts.get("phases")
    if not phases:
        raise ValueError(f"{Path(folder) / CARD} must give the names of the phases. Received: none.")
    reference = read_statistics(Path(folder) / REFERENCE) if (Path(folder) / REFERENCE).is_file() else {}
    if not isinstance(reference.get("sub_volumes", {}), dict):
        raise ValueError(f"{Path(folder) / REFERENCE} must give an object as 'sub_volumes'.")
    training = facts.get("training", {})
    settings = training.get("recipe", {})
    size = facts.get("voxel_size")
    return _TEMPLATE.read_text("utf-8").format(
        name=markdown(facts.get("name") or Path(folder).name),
        front_matter=_front_matter(facts, settings),
        source=printable(_source(folder) if source is None else source),
        description=printable(
            facts.get("description") or f"A generator of {len(facts['phases'])}-phase microstructures."
        ),
        preview=PREVIEW,
        phase_list=", ".join(map(markdown, phases)),
        voxel_size=f"{size:g} µm" if size else "unknown",
        stride=2 ** len(facts["generator"].get("widths", ())),
        megabytes=f"{(Path(folder) / WEIGHTS).stat().st_size / 1e6:.1f}",
        version=f"\n- Version: {facts['version']} (a seed gives other voxels in another)" if "version" in facts else "",
        tuning=tuning_text(facts),
        measured=_compared(facts, reference),
        training=_training(training, settings) + _held_out(facts),
        crop=markdown(_seen(settings)),
        data=printable(facts.get("data") or "The source of the data is not stated."),
        citation=f"Please cite: {_linked(printable(facts['citation']))}"
        if facts.get("citation")
        else "No citation is stated.",
        licence=f"Licence: {printable(facts['licence'])}" if facts.get("licence") else "No licence is stated.",
    )


def _compared(facts, reference):
    """Return the section that compares real and generated: a whole comparison, or else the measures of training."""
    if facts.get("comparison"):
        return comparison_text(facts["comparison"])
    if facts.get("tuning") and not facts.get("fidelity"):
        return "This generator was tuned to differ from the material and was not compared with it."
    samples, judged = reference.get("sub_volumes", {}), facts.get("samples", {})
    kind = "windows of the slice" if samples.get("dimensions") == 2 else "random sub-volumes"
    text = (
        f"Real: {samples.get('count', '?')} {kind} of {samples.get('size', '?')} voxels per side. "
        f"Generated: {judged.get('count', '?')} volumes of {judged.get('size', '?')} voxels per side. "
        "Surfaces count voxel faces, triple-phase boundaries voxel edges."
    )
    parts = [_measured(facts), "", text, _correlation(facts), _sizes(facts), _large(facts)]
    return "\n".join(parts).rstrip()


def _measured(facts):
    """Return the fidelity as a table in Markdown."""
    unit = "µm" if facts.get("voxel_size") else "voxel"
    rows = ["| measure | real | generated | difference | spread, generated over real |", "|---|---|---|---|---|"]
    for key, values in facts.get("fidelity", {}).items():
        title, dimension = _title(key, unit, _dimensions(facts))
        for i, name in _rows(values, facts["phases"]):
            a, b, a_std, b_std = (_pick(values.get(column), i) for column in _COLUMNS)
            label = ", ".join(markdown(part) for part in (title, name, dimension) if part)
            difference = f"{100 * (b - a) / a:+.1f} %" if a else ""
            spread = f"{b_std / a_std:.2f}" if a_std and b_std is not None else ""
            rows.append(f"| {label} | {a:.4g} | {b:.4g} | {difference} | {spread} |")
    return "\n".join(rows)


def _front_matter(facts, settings):
    """Return the card's metadata for the Hub, in YAML: type, licence, data, measures."""
    licence = licence_tag(facts)
    file = facts.get("training", {}).get("data", {}).get("file")
    data = _slug(Path(file).stem) if isinstance(file, str) else None
    rows = list(_results(facts))
    lines = ["library_name: keras", f"license: {licence}"]
    if licence == "other" and facts.get("licence"):
        lines.append(f"license_name: {_slug(facts['licence'])}")
    lines += ["pipeline_tag: unconditional-image-generation", "tags:", *(f"- {tag}" for tag in TAGS)]
    if data:
        lines += ["datasets:", f"- {data}"]
    if rows:
        lines += ["metrics:", *(f"- {key}" for key in dict.fromkeys(key for key, _, _ in rows))]
    origin = facts.get("tuned_from") or facts.get("training", {}).get("fine_tuned_from")
    if origin and REPOSITORY.fullmatch(origin.get("repo") or ""):
        lines += [f"base_model: {origin['repo']}", "base_model_relation: finetune"]
    if rows and data:
        name, title = map(json_text, (facts.get("name") or data, data))
        lines += ["model-index:", f"- name: {name}", "  results:", "  - task:"]
        lines += ["      type: unconditional-image-generation", "    dataset:", f"      type: {data}"]
        lines += [f"      name: {title}", "    metrics:"]
        for key, label, value in rows:
            lines += [f"    - type: {key}", f"      name: {json_text(label)}"]
            lines += [f"      value: {value:.4g}"]
    return "\n".join(lines)


def licence_tag(facts):
    """Return the Hub's identifier of a generator's licence: "mit", or "other" for those that it does not know."""
    known = _LICENCES.get((facts.get("licence") or "").strip().lower(), "other")
    return _slug(facts.get("licence_tag") or known)


def _results(facts):
    """Yield measures of generated samples: (key, label with the real value, value)."""
    if facts.get("comparison"):
        from kerasgan3d.report.record import ComparisonRecord
        from kerasgan3d.report.verdict import headline

        for row in headline(ComparisonRecord.from_dict(facts["comparison"]).measures):
            if row.generated_mean is not None and row.real_mean is not None:
                unit = "" if row.unit == "1" else row.unit
                label = ", ".join(part for part in (row.key.replace("_", " "), row.phase, unit) if part)
                yield row.key, f"{label} (real: {row.real_mean:.4g})", row.generated_mean
        return
    for key, values in facts.get("fidelity", {}).items():
        title, _ = _title(key, dimensions=_dimensions(facts))
        for i, name in _rows(values, facts["phases"]):
            real, generated = _pick(values["real"], i), _pick(values["generated"], i)
            label = ", ".join(part for part in (title, name) if part)
            yield key, f"{label} (real: {real:.4g})", generated


def _dimensions(facts):
    """Return the number of dimensions of the reference: 2 where it is slices."""
    return (facts.get("samples") or {}).get("compared_in", 3)


def _title(key, length="µm", dimensions=3):
    """Return the readable name of a measure, and its unit or an empty string."""
    from kerasgan3d.metrics.registry import MEASURES  # imports SciPy, which a list of generators does not need

    if key not in MEASURES:
        return key.replace("_", " "), ""
    row, unit = MEASURES[key], MEASURES[key].unit_in(dimensions)
    return row.name, "" if unit == "1" else unit.replace("µm", length)


def _linked(text):
    """Return a citation with its DOI as a link."""
    return re.sub(r"\bdoi:? (10\.\d+/[\w.;()/-]*\w)", r"doi [\1](https://doi.org/\1)", text)


def _slug(text):
    """Return a text as an identifier of the Hub: lower-case letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "other"


def _source(folder):
    """Return the argument of `load_generator` for this folder."""
    folder = Path(folder)
    shipped = folder.name in list_presets() and path(folder.name).samefile(folder)
    return folder.name if shipped else folder.as_posix()


def _correlation(facts):
    """Describe the two-point correlation in a sentence."""
    found = facts.get("two_point_correlation")
    if not found or len(found) < 2:
        return ""
    return (
        f"The means of S2(r)/S2(0), the normalised two-point correlation, differ by at most {found['difference']:.3f} "
        f"for any phase, axis and r up to {found['max_lag']} voxels."
    )


def _sizes(facts):
    """Describe the granulometry in a sentence."""
    found = facts.get("granulometry")
    if not found or len(found) < 2:
        return ""
    bodies = "discs" if _dimensions(facts) == 2 else "balls"
    return (
        f"The share of a phase that is covered by {bodies} inside it differs by at most {found['difference']:.3f} "
        f"for any phase and radius up to {found['max_radius']} voxels."
    )


def _large(facts):
    """Describe the volume fractions of larger volumes in a sentence."""
    found = facts.get("large_volumes")
    if not found or not {"generated", "real", "count", "size"} <= set(found):
        return ""
    shares = " / ".join(f"{share:.3f}" for share in found["generated"])
    wanted = " / ".join(f"{share:.3f}" for share in found["real"])
    return (
        f"Over {found['count']} volumes of {found['size']} voxels per side, the volume fractions are {shares}; "
        f"those of the whole image are {wanted}."
    )


def _rows(values, phases):
    """Yield (i, phase), or (0, None) for a single number, of a measure that both sides have."""
    sides = [values.get("real"), values.get("generated")]
    if all(isinstance(side, list) and len(side) >= len(phases) for side in sides):
        yield from enumerate(phases)
    elif not any(side is None or isinstance(side, list) for side in sides):
        yield 0, None


def _pick(value, i):
    return (value[i] if i < len(value) else None) if isinstance(value, list) else value


def _seen(settings):
    """Return the voxels that critics see along an axis, by a recipe of the current or an earlier version."""
    views = [view for view in settings.get("views") or () if isinstance(view, dict)]
    sizes = [int(view["size"]) for view in views if is_integer(view.get("size"))]
    return max(sizes) if sizes else settings.get("crop", "few")


def _training(training, settings):
    """Describe the training in sentences."""
    if not training:
        return "Not stated."
    data = training.get("data", {})
    shape = " x ".join(markdown(n) for n in data.get("shape", ()))
    symmetry = Symmetry(
        **{key: value for key, value in training.get("symmetry", {}).items() if key in ("kind", "axis")}
    )
    origin = training.get("fine_tuned_from")
    architecture = "its" if origin else architectures(settings)
    lines = [
        *([_origin(origin)] if origin else []),
        f"Recipe {code(settings.get('name'))} ({printable(str(settings.get('source')))}), {markdown(architecture)} "
        f"architecture, on {code(data.get('file'))} ({shape} voxels), {symmetry} symmetry.",
        f"The selected checkpoint is that of step {markdown(training.get('steps'))} of {_total(settings)}, after "
        f"{markdown(training.get('hours'))} hours"
        + (f" on {markdown(training['hardware'])}" if training.get("hardware") else "")
        + (
            ", chosen by the morphology of the averaged generator"
            if settings.get("keep", "best") == "best"
            else ", the last that was measured"
        )
        + ". `"
        + CARD
        + "` contains all settings.",
    ]
    if "calibration" in training:
        before, after = (
            " / ".join(f"{value:.3f}" for value in training["calibration"].get(key, ())) for key in ("before", "after")
        )
        lines.append(
            "A calibration of the output biases changed its volume fractions towards those of the data, from "
            f"{before} to {after}."
        )
    if "rms_error" in training.get("answers", ()):
        left = " / ".join(f"{value:.3f}" for value in training["answers"]["rms_error"])
        lines.append(
            "It takes local volume fractions as an input. Requests are corrected by what it made of those for "
            f"{training['answers'].get('count', 'some')} volumes; what is left is {left} by phase (root mean square "
            "error)."
        )
    if training.get("remark"):
        lines.append(printable(str(training["remark"])))
    return "\n".join(lines)


def _held_out(facts):
    """Describe the errors against data that training did and did not see, in a sentence on its own line."""
    found = facts.get("held_out")
    if not found or not {"box", "error", "error_of_training_data", "real_difference"} <= set(found):
        return ""
    errors = [f"{found[key]:.3f}" for key in ("error", "error_of_training_data", "real_difference")]
    return (
        f"\nTraining did not see the block {markdown(found['box'])} of the data, one (start, stop) per axis. The "
        f"generator's error is {errors[0]} against that block and {errors[1]} against the training data; the two parts "
        f"of the data differ by {errors[2]} themselves."
    )


def _origin(origin):
    """Describe the generator from which it was fine-tuned, in a sentence."""
    titles = (("repo", "repository"), ("revision", "revision"), ("sha256", "weights' sha256"))
    facts = ", ".join(f"{title} {code(origin[key])}" for key, title in titles if origin.get(key))
    line = f"Fine-tuned from {code(origin['name'])}" if origin.get("name") else "Fine-tuned from a generator"
    line += f" ({facts})" if facts else ""
    return (
        f"{line}, which learned from the data of {printable(origin['citation'])}."
        if origin.get("citation")
        else f"{line}."
    )


def _total(settings):
    """Return the number of steps of a whole run."""
    return settings["steps"] + settings.get("critic_warmup", 0) if "steps" in settings else None
