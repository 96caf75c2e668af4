"""The report of a comparison: one self-contained HTML file with its tables and figures."""

import base64
import io
from pathlib import Path
from string import Template

import matplotlib

from kerasgan3d.checks import AXES
from kerasgan3d.files import replacing
from kerasgan3d.io import check_writable
from kerasgan3d.metrics.registry import ALL
from kerasgan3d.palette import phase_colors
from kerasgan3d.report import figures
from kerasgan3d.report.methods import methods_of
from kerasgan3d.report.pictures import browsed_volumes, flux_slices, label_slices
from kerasgan3d.report.record import ComparisonRecord
from kerasgan3d.report.tables import measure_table, table_legend
from kerasgan3d.report.verdict import conclusion, fixed, headline, number, percent, verdict_lines, verdicts_of
from kerasgan3d.report.viewer import packed, resource
from kerasgan3d.texts import html_text, script_json

SUFFIXES = (".html", ".htm")
_RASTER_DPI = 200
_BOXES = "Boxes: quartiles and median; whiskers: 5th to 95th percentile; dots: {samples}."
_LONGEST = 128  # voxels along an edge of what is browsed
_PANELS = "Every panel has its own scale, of at least a fifth of the mean."


def write_page(comparison, pictures, path):
    """Write a comparison as one self-contained HTML file; an existing file is replaced.

    The page contains the whole record as JSON, in its element with the id "comparison" (infinities and NaN become null
    there). Parts that the record lacks, or holds as null, are left out, and the page says so.

    Args:
        comparison: a ComparisonRecord, or a dict of either format that `ComparisonRecord.from_dict` reads.
        pictures: dict of arrays for the pictures, or None. "real" and "generated": integer labels, a list of slices
            (rows, columns), a list of volumes (z, y, x) whose middle slices are shown, or one volume, which shows its
            middle slices normal to z, y and x. "flux": dict with "real" and "generated", each a dict from phase name
            to the flux's magnitude, float (rows, columns) with transport along the rows, or (z, y, x) with transport
            along z, of which the middle slice normal to x is shown; NaN outside the phase. "volumes": dict with "real",
            "generated" or both, each a volume (z, y, x) whose slices the page browses, of 128 voxels an edge at most.
        path: the file, ending in .html or .htm.

    Returns:
        The path as a `pathlib.Path`.

    Raises:
        ValueError: if a dict is not a comparison, pictures do not fit its phases, or the suffix is another.
        OSError: if the folder does not exist, the path is a folder, or the file cannot be written.
    """
    path = check_writable(Path(path), suffixes=SUFFIXES)
    text = page_text(comparison, pictures)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def page_text(comparison, pictures=None):
    """Return the HTML of `write_page`.

    Raises:
        ValueError: as for `write_page`.
    """
    if not isinstance(comparison, ComparisonRecord):
        comparison = ComparisonRecord.from_dict(comparison)
    shown = _Shown(comparison, pictures)
    sections = [
        _head(shown),
        _slices(shown),
        _structure(shown),
        _volumes(shown),
        _correlation(shown),
        _shapes(shown),
        _transport(shown),
        _tests(shown),
        _everything(shown),
        _methods(shown),
        _foot(shown),
    ]
    return Template(resource("page.html")).substitute(
        title=html_text(shown.title),
        body="\n".join(part for part in sections if part),
        data=script_json(comparison.to_dict()),
    )


class _Shown:
    """A record, its pictures as slices, and data used by several sections."""

    def __init__(self, record, pictures):
        self.record, self.phases, self.voxel_size = record, record.phases, record.real.voxel_size
        # Records of the previous version have none.
        self.verdicts = record.verdicts or verdicts_of(record)
        self.title = f"{record.generated.name} against {record.real.name}"
        self.flat = record.samples.dimensions == 2
        self.unit_of_samples = record.unit_of_samples
        pictures = pictures or {}
        self.slices = {side: label_slices(pictures.get(side), side, len(self.phases)) for side in ("real", "generated")}
        self.browsed = browsed_volumes(pictures, len(self.phases))
        flux = pictures.get("flux") or {}
        self.flux = {side: flux_slices(flux.get(side), side, self.phases) for side in ("real", "generated")}

    def __getattr__(self, name):
        return getattr(self.record, name)

    def drawn(self, section):
        """Return the figures of a section: title -> rows."""
        found = {}
        for row in self.record.measures:
            measure = ALL.get(row.key)
            if measure is not None and measure.section == section:
                found.setdefault(measure.figure, []).append(row)
        return found


def _head(record):
    size = record.samples.size
    edges = f"{size}{'²' if record.flat else '³'} voxels" if size else ""
    if size and record.voxel_size:
        edges += f", {size * record.voxel_size:.3g} µm an edge"
    count = f"{record.samples.real} real, {record.samples.generated} generated"
    layout = "; ".join(part for part in (count, edges, _layout(record.windows)) if part)
    colors = phase_colors(record.phases)
    phases = "".join(
        f'<span class="phase"><span class="swatch" style="background: rgb({r}, {g}, {b})"></span>{name}</span>'
        for name, (r, g, b) in zip(map(html_text, record.phases), colors.tolist(), strict=True)
    )
    made = [f"kerasgan3d {record.version}"] if record.version else []
    made += [f"seed {record.samples.seed}"] if record.samples.seed is not None else []
    facts = [
        ("Real", html_text(_described(record.real))),
        ("Generated", html_text(_described(record.generated))),
        (record.unit_of_samples.capitalize(), html_text(layout)),
        ("Voxel size", f"{record.voxel_size:g} µm" if record.voxel_size else "not known"),
        ("Phases", phases),
        ("Date", html_text(record.date)),
        ("Made with", html_text(", ".join(made))),
    ]
    listed = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in facts if text)
    text = f'<h1>{html_text(record.title)}</h1>\n<p class="quiet">A generated microstructure beside the real one.</p>\n'
    text += f'<dl class="facts">{listed}</dl>\n'
    text += "".join(f'<p class="quiet">Note: {html_text(note)}.</p>\n' for note in record.notes)
    text += verdict_list(record.verdicts, record.unit_of_samples)
    return text + measure_table(headline(record.measures)) + table_legend(record.measures, record.unit_of_samples)


def _layout(windows):
    """Describe the sub-volumes' positions in the real image, where they are known."""
    if windows is None:
        return ""
    share = f"{100 * windows.covered:.0f} % of the real image"
    return f"real ones at {windows.method} places, {share}, where {windows.side_by_side} fit side by side"


def verdict_list(verdicts, samples):
    """Return a sentence about the worst verdict, and a line for each test."""
    if not verdicts:
        return ""
    lines = "".join(
        f'<li class="{outcome.split()[0]}"><b>{html_text(outcome)}</b> {html_text(test)}: {html_text(text)}</li>\n'
        for test, outcome, text in verdict_lines(verdicts)
    )
    return (
        f'<p class="lead">{html_text(conclusion(verdicts, samples))}</p>\n<ul class="verdicts">\n{lines}</ul>\n'
        '<p class="legend">A test passes where its effect is at most its limit: a bar that holds for any material, '
        "or (‡) twice what the same effect is between sub-volumes of two halves of the real image. It cannot be told "
        "where two standard errors are more than that.</p>\n"
    )


def _slices(record):
    figure = figures.slice_rows(record.slices["real"], record.slices["generated"], record.phases, record.voxel_size)
    if figure is None:
        return ""
    caption = "Slices, all at one scale; above real, below generated."
    text = "<h2>Slices</h2>\n" + _figure(figure, "Slices of the real and the generated microstructure.", caption)
    return text + _browser(record)


def _browser(record):
    """Return the slices of a volume of either side, to be browsed; it is shown by its script, which draws them."""
    if not record.browsed:
        return ""
    panels = "".join(_panel(side, volume[(slice(_LONGEST),) * 3]) for side, volume in record.browsed.items())
    axes = "".join(f'<option value="{number}">{axis}</option>' for number, axis in enumerate(AXES))
    colors, edge = phase_colors(record.phases).tolist(), record.voxel_size or ""
    caption = f"One {' and one '.join(record.browsed)} volume, slice by slice"
    large = max(length for volume in record.browsed.values() for length in volume.shape) > _LONGEST
    caption += f": the first {_LONGEST} voxels along each axis." if large else "."
    source = "".join(resource(name) for name in ("slices.js", "browse.js")).encode()
    return (
        f'<div class="browse" data-colors="{colors}" data-voxel-size="{edge}" hidden>\n<p><label>Slices normal to '
        f'<select>{axes}</select></label> <label>at <input type="range" min="0"/></label> <output></output></p>\n'
        f'<div class="panels">{panels}</div>\n'
        f'<p class="quiet">{caption}</p></div>\n'
        # The only text of a script in the page is the record; this one is an address.
        f'<script src="data:text/javascript;base64,{base64.b64encode(source).decode("ascii")}"></script>\n'
    )


def _panel(side, labels):
    return (
        f'<div><canvas data-shape="{list(labels.shape)}" data-labels="{packed(labels)}"></canvas>'
        f'<p class="quiet">{side}</p></div>'
    )


def _structure(record):
    parts = []
    for title, rows in record.drawn("structure").items():
        several = len({row.key for row in rows}) > 1
        figure = figures.box_plots(rows, record.phases, title.lower() if several else None)
        if figure is not None:
            caption = html_text(f"{title}. {_BOXES.format(samples=record.unit_of_samples)} {_PANELS}")
            parts.append(_figure(figure, f"Box plots of {title.lower()}, real and generated.", caption))
            if rows[0].key == "specific_surface_area" and record.delta_ssa:
                parts.append(_surface_differences(record))
    return "<h2>Fractions, surfaces, boundaries</h2>\n" + "".join(parts) if parts else ""


def _surface_differences(record):
    shown = ", ".join(
        f"{html_text(phase)} {percent(value / 100)}"
        for phase, value in zip(record.phases, record.delta_ssa, strict=False)
        if value is not None
    )
    return f"<p>&Delta;(SSA), the difference of the mean specific surface areas [1]: {shown}.</p>\n" if shown else ""


def _volumes(record):
    found = record.volumes
    if found is None:
        return ""
    text = "<h2>Generated volumes</h2>\n"
    text += (
        f"<p>{found.count} volumes of {found.size}³ voxels, measured as volumes, beside what {found.windows} "
        "windows of slices tell of volumes by stereology.</p>\n"
    )
    text += measure_table(headline(found.measures))
    correlation = found.two_point_correlation
    figure = figures.correlation_curves(correlation, record.phases, record.voxel_size)
    if figure is None:
        return text
    shown = ", ".join(
        f"{html_text(phase)} {fixed(value, 3)}"
        for phase, value in zip(record.phases, found.anisotropy or (), strict=False)
        if value is not None
    )
    text += f"<p>The largest difference between two axes of the generated volumes: {shown}.</p>\n" if shown else ""
    of_slices = (record.two_point_correlation and record.two_point_correlation.axes) or ()
    real = "the same of real slices" if len(of_slices) == 3 else "its mean over those of the real slice"
    caption = f"Two-point correlation along the axes of generated volumes, and {real}."
    return text + _figure(figure, "Two-point correlation functions of volumes, by phase and axis.", caption)


def _correlation(record):
    correlation = record.two_point_correlation
    if correlation is None or correlation.lags is None:
        return ""
    figure = figures.correlation_curves(correlation, record.phases, record.voxel_size)
    if figure is None:
        return ""
    text = "<h2>Two-point correlation</h2>\n"
    found = [
        (value, phase, axis)
        for phase, row in zip(record.phases, correlation.largest_difference or (), strict=False)
        for axis, value in zip(correlation.axes, row, strict=False)
        if value is not None
    ]
    if found:
        value, phase, axis = max(found)
        text += (
            "<p>The largest difference between the mean curves is "
            f"{fixed(value, 3)} ({html_text(phase)}, along {html_text(axis)}).</p>\n"
        )
    caption = (
        "The chance that a point at distance r from one in the phase is in the phase too. "
        f"At each distance the band holds nine tenths of the real {record.unit_of_samples}."
    )
    if correlation.real is None or not correlation.real.low:
        caption = caption.split(". ")[0] + "."
    return text + _figure(figure, "Two-point correlation functions, by phase and axis, real and generated.", caption)


def _shapes(record):
    parts = []
    for key, curves in record.curves.items():
        label = ALL[key].label_in(record.samples.dimensions)
        figure = (
            None if curves.lags is None else figures.correlation_curves(curves, record.phases, record.voxel_size, label)
        )
        if figure is not None:
            name = ALL[key].name
            caption = (
                f"{name[:1].upper()}{name[1:]}: {label} r. At each r the band holds nine tenths of the real "
                f"{record.unit_of_samples}."
            )
            parts.append(_figure(figure, f"Curves of {name}, by phase, real and generated.", html_text(caption)))
    return "<h2>Shapes</h2>\n" + "".join(parts) if parts else ""


def _transport(record):
    parts = []
    for title, rows in record.drawn("transport").items():
        figure = figures.box_plots(rows, record.phases)
        if figure is not None:
            caption = f"{html_text(title)}. {_BOXES.format(samples=record.unit_of_samples)}"
            parts.append(_figure(figure, f"Box plots of {title.lower()}, real and generated.", caption))
    figure = figures.diffusivity_scatter(record.measures, record.phases)
    if figure is not None:
        caption = (
            f"Relative diffusivity against volume fraction; a point per {record.unit_of_samples[:-1]}. "
            "Zero: the phase does not percolate."
        )
        parts.append(_figure(figure, "Relative diffusivity against volume fraction, by phase.", caption))
    figure = figures.flux_maps(record.flux["real"], record.flux["generated"])
    if figure is not None:
        caption = "Magnitude of the flux from the upper to the lower edge in one slice; each phase has its own scale."
        parts.append(_figure(figure, "Maps of the flux through the phases, real and generated.", caption))
    return "<h2>Transport</h2>\n" + "".join(parts) if parts else ""


def _tests(record):
    parts = [_leaning(record), _classifier(record), _nearest(record), _seam(record), _lattice(record)]
    parts = [part for part in parts if part]
    missing = [
        name
        for name, there in (
            ("relative diffusivity", record.drawn("transport")),
            ("the classifier's test", record.classifier),
            ("the search for the nearest real sub-volumes", record.nearest),
            ("seam against interior of periodic volumes", record.seam),
            ("the stride lattice", record.lattice),
        )
        if not there
    ]
    if missing:
        parts.append(f'<p class="quiet">Not computed here: {", ".join(missing)}.</p>\n')
    return "<h2>Tests</h2>\n" + "".join(parts) if parts else ""


def _classifier(record):
    found = record.classifier
    if found is None or found.score is None:
        return ""
    score, error = found.score, found.standard_error
    if error is not None and abs(score - 0.5) <= 2 * error:
        meaning = "It does no better than guessing, within two standard errors."
        meaning += " So few samples tell little: take more." if error > 0.05 else ""
    elif score > 0.5:
        meaning = f"It tells real from generated in {100 * score:.0f} of 100 cases; guessing gives 50, certainty 100."
    else:
        meaning = "It does worse than guessing: what it learnt from one half does not hold for the other."
    shown = fixed(score) + (f" ± {fixed(error)}" if error is not None else "")
    text = "<h3>Can a classifier tell them apart?</h3>\n"
    text += f'<div class="score"><b>{shown}</b><span>{meaning} Accuracy on {record.unit_of_samples} that it has not '
    text += "seen, with its standard error; 0.5 is the best that a generator can reach [2].</span></div>\n"
    counted = [
        f"{' + '.join(map(str, count)) if isinstance(count, list | tuple) else count} to {purpose}"
        for count, purpose in ((found.train, "learn from"), (found.test, "be judged by"))
        if count
    ]
    notes = [f"{record.unit_of_samples.capitalize()}: {', '.join(counted)}."] if counted else []
    notes += [found.note] if found.note else []
    return text + (f'<p class="quiet">{html_text(" ".join(notes))}</p>\n' if notes else "")


def _nearest(record):
    found = record.nearest
    figure = figures.nearest_distances(found) if found else None
    if figure is None:
        return ""
    sides = (("generated", found.generated_distances), ("real", found.real_distances))
    closest = [f"{fixed(values.least, 3)} from {name}" for name, values in sides if values is not None]
    caption = "Distance to the nearest real sub-volume: of generated ones"
    caption += (
        ", and of real ones to those that do not overlap them. A copy has the distance 0; generated ones should not be "
        "nearer than real ones are. Lines are medians."
        if found.real
        else ". A copy has the distance 0. The line is the median."
    )
    text = "<h3>Does it repeat what it learnt from?</h3>\n"
    smallest = "The smallest distances are" if len(closest) > 1 else "The smallest distance is"
    text += f"<p>{smallest} {html_text(' and '.join(closest))} ones."
    if not found.real:
        text += " The image is too small to say how near real ones are that do not overlap."
    text += "</p>\n"
    searched = f" Searched: {found.searched.rstrip('.')}." if found.searched else ""
    alt = "Distances to the nearest real sub-volume."
    return text + _figure(figure, alt, html_text(caption + searched))


def _seam(record):
    found = record.seam
    figure = figures.seam_differences(found) if found else None
    if figure is None:
        return ""
    beyond, count = _beyond_chance(found.measures)
    caption = (
        "What is measured where a periodic volume closes, relative to the rest of it; bars are two standard errors. "
        "About one value in twenty lies beyond its bar by chance."
    )
    text = "<h3>Is there a seam in periodic volumes?</h3>\n"
    text += f"<p>{beyond} of {count} values differ with p &lt; 0.05, as about one in twenty does by chance"
    size = found.size
    if found.count and size:
        size = " × ".join(map(str, size)) if isinstance(size, list | tuple) else f"{size}³"
        text += f"; {found.count} volumes of {size} voxels"
    return text + ".</p>\n" + _figure(figure, "Differences between seam and interior of periodic volumes.", caption)


def _beyond_chance(measures):
    """Count the differences with p < 0.05, or beyond two standard errors where p is not known, and all of them."""
    beyond = []
    for entry in measures:
        if entry.get("p") is not None:
            beyond.append(entry["p"] < 0.05)
        elif None not in (entry.get("seam"), entry.get("interior"), entry.get("standard_error")):
            beyond.append(abs(entry["seam"] - entry["interior"]) > 2 * entry["standard_error"])
    return sum(beyond), len(beyond)


def _leaning(record):
    sides = [(side, record.leaning[side]) for side in ("generated", "real")] if record.leaning else []
    sides = [(side, found) for side, found in sides if found is not None]
    if not sides:
        return ""
    shown = [
        f"{side} "
        + ", ".join(f"{html_text(phase)} {fixed(v, 3)}" for phase, v in zip(record.phases, part.largest, strict=False))
        for side, part in sides
    ]
    text = (
        "<h3>Do structures lean to one side?</h3>\n<p>The largest difference of S2(r)/S2(0) between the two diagonals "
    )
    text += f"of a plane: {'; '.join(shown)}."
    p = record.leaning.generated and record.leaning.generated.smallest_p
    if p is not None:
        text += f" The smallest p of no difference in generated volumes is {number(p, 2)}, corrected."
    return text + "</p>\n"


def _lattice(record):
    found = record.lattice
    figure = figures.lattice_profiles(found, record.phases) if found else None
    if figure is None:
        return ""
    caption = (
        f"What lies at each position within the generator's stride of {found.period} voxels, as difference from the "
        "mean, with standard errors. A generator without a lattice is flat within them."
    )
    text = "<h3>Does the generator's stride show?</h3>\n"
    values = [p for table in (found.chi2_p, found.label_change_chi2_p) for row in table or () for p in row]
    values = [p for p in values if p is not None]
    if values:
        text += (
            f"<p>The smallest of {len(values)} p-values of flatness is {number(min(values), 2)}; by chance it is "
            f"below {number(0.05 / len(values), 2)} in one of twenty comparisons.</p>\n"
        )
    return text + _figure(figure, "Volume fractions and label changes by position within the stride.", caption)


def _everything(record):
    return "<h2>All measures</h2>\n" + measure_table(record.measures, full=True) if record.measures else ""


def _methods(record):
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in methods_of(record.record))
    return f'<h2>How it was computed</h2>\n<dl class="methods">{listed}</dl>\n'


def _foot(record):
    seconds = sum(record.seconds.values())
    took = f" It took {seconds:.0f} s." if seconds else ""
    hardware = f" Computed on: {record.hardware}." if record.hardware else ""
    text = (
        f"Every number of this page, and the value of each of the {record.unit_of_samples}, is in the page itself as "
    )
    text += f'JSON: the element with the id "comparison".{took}{hardware}'
    return f"<footer>{html_text(text)}</footer>"


def _described(side):
    text = side.name
    if side.shape:
        text += f", {' × '.join(map(str, side.shape))} voxels"
    kind = {"slice": "one slice", "reference": "stored statistics", "generator": "generator", "volumes": "volumes"}
    return text + (f" ({kind[side.kind]})" if side.kind in kind else "")


def _figure(figure, alt, caption):
    """Return a figure as an image within the page; the same figure gives the same text."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "kerasgan3d"}):
        figure.savefig(buffer, format="svg", dpi=_RASTER_DPI, metadata={"Date": None, "Creator": None})
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = (round(96 * side) for side in figure.get_size_inches())
    image = f'<img src="data:image/svg+xml;base64,{data}" width="{width}" height="{height}" alt="{html_text(alt)}">'
    return f"<figure>{image}\n<figcaption>{caption}</figcaption></figure>\n"
