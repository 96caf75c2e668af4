"""Descriptions of the methods of a comparison, in one sentence each, with sources."""

import re

from kerasgan3d.metrics.registry import ALL
from kerasgan3d.texts import html_text

_PAPER = (
    "[1] A. Gayon-Lombardo et al., npj Computational Materials 6, 82 (2020), ",
    "10.1038/s41524-020-0340-7",
)
_CLASSIFIER = (
    "[2] D. Lopez-Paz, M. Oquab, Revisiting classifier two-sample tests, ICLR 2017, ",
    "10.48550/arXiv.1610.06545",
)
_TAUFACTOR = ("[3] S. J. Cooper et al., SoftwareX 5, 203 (2016), ", "10.1016/j.softx.2016.09.002")


_VERDICTS = (
    "Verdicts",
    "Real means are those of the whole image where sub-volumes have the same on average. What real is from real is the "
    "same effect between real sub-volumes of two halves of the image, cut across each axis in turn, without what the "
    "scatter of so few explains.",
)
_STATISTICS = (
    "Difference, deviations, KS distance",
    "Difference of the means relative to the real mean; standard deviations of samples; the two-sample "
    "Kolmogorov-Smirnov distance, the largest between the two cumulative distributions; p is the chance of one as "
    "large between independent samples of one material. Samples of one image overlap, so that the real mean is less "
    "certain than their number tells, and p too small.",
)
# By the part of the record that holds the result.
_TESTS = {
    "classifier": (
        "Classifier",
        "A small network learns to tell real from generated on one half of the samples and is judged on the other half "
        "[2].",
    ),
    "nearest": (
        "Nearest real sub-volume",
        "The share of voxels that differ from the most similar part of the real image, over all the places and "
        "symmetries that were searched.",
    ),
    "seam": (
        "Seam",
        "The same measure taken across or around the faces where periodic volumes close, and in the rest.",
    ),
    "leaning": (
        "Leaning",
        "The two-point correlation along one diagonal of a plane less that along the other, over the volume fraction: "
        "what leans to one side, which the axes do not show. p of no difference by Student's t test, times the number "
        "of tests.",
    ),
    "lattice": (
        "Stride lattice",
        "Volume fractions and label changes by position modulo the generator's stride, tested for flatness by "
        "chi-square with errors from between volumes.",
    ),
}


def methods_of(record):
    """List the methods by which the measures of a comparison were computed.

    Args:
        record: A ComparisonRecord.

    Returns:
        List of (name, sentence), both HTML; the last ones are the sources.
    """
    curves = ["two_point_correlation"] if record.two_point_correlation else []
    keys = [key for key in ALL if any(row.key == key for row in record.measures)] + curves + list(record.curves)
    measures = [ALL[key] for key in keys if key in ALL]
    listed = [(_capital(measure.name), _as_html(measure.method)) for measure in measures]
    if any(row.estimated for row in record.measures):
        listed.append(
            ("† Stereology", "Estimated from slices, as if the material were alike in all directions of space.")
        )
    listed += [_VERDICTS] if record.verdicts else []
    listed += [_STATISTICS, *(method for key, method in _TESTS.items() if record[key])]
    sources = [_PAPER]
    sources += [_CLASSIFIER] if record.classifier else []
    sources += [_TAUFACTOR] if any("[3]" in measure.method for measure in measures) else []
    text = "<br>".join(f'{text}<a href="https://doi.org/{doi}">doi:{doi}</a>' for text, doi in sources)
    return [*listed, ("Sources", text)]


def _as_html(text):
    return re.sub(r"S2(?=\()", "S<sub>2</sub>", html_text(text))


def _capital(text):
    return text[:1].upper() + text[1:]
