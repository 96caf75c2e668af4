"""How the numbers of a comparison were computed, in one sentence each, with sources."""

_PAPER = (
    "[1] A. Gayon-Lombardo et al., npj Computational Materials 6, 82 (2020), ",
    "10.1038/s41524-020-0340-7",
)
_CLASSIFIER = (
    "[2] D. Lopez-Paz, M. Oquab, Revisiting classifier two-sample tests, ICLR 2017, ",
    "10.48550/arXiv.1610.06545",
)
_TAUFACTOR = ("[3] S. J. Cooper et al., SoftwareX 5, 203 (2016), ", "10.1016/j.softx.2016.09.002")
_SENTENCES = (
    (("volume_fraction",), "Volume fraction", "The share of voxels in the phase."),
    (
        ("specific_surface_area", "interfacial_area"),
        "Specific surface area, interfacial area",
        "The area of voxel faces between unlike voxels per volume of the whole, as in [3]; faces along slopes form "
        "stairs, half as large again as a smooth surface on average.",
    ),
    (
        ("specific_surface_area_marching_cubes",),
        "Specific surface area (marching cubes)",
        "The area of a mesh of triangles between the phase and the rest, per volume of the whole.",
    ),
    (
        ("triple_phase_boundary_density",),
        "Triple-phase boundary",
        "The length of voxel edges where three or more phases meet, per volume of the whole.",
    ),
    (
        ("active_triple_phase_boundary_density",),
        "Active triple-phase boundary",
        "The part of it where each of the phases that meet is connected through the volume.",
    ),
    (
        ("connected_fraction",),
        "Connected fraction",
        "The share of a phase's voxels that belong to paths from one end face to the other along the axis.",
    ),
    (
        ("relative_diffusivity", "tortuosity_factor"),
        "Relative diffusivity",
        "Effective by intrinsic diffusivity, D_eff / D_0, of steady diffusion through the phase between fixed "
        "concentrations on two opposite faces, no flux through the sides, as in [3]; 0 where no path crosses. The "
        "tortuosity factor is the volume fraction divided by it.",
    ),
)


def methods_of(comparison):
    """List how the measures that a comparison holds were computed.

    Args:
        comparison: the record of `kerasgan3d.compare`.

    Returns:
        List of (name, sentence), both HTML; the last ones are the sources.
    """
    keys = {entry["key"] for entry in comparison["measures"]}
    listed = [(name, text) for of, name, text in _SENTENCES if keys & set(of)]
    if any(entry.get("estimated") for entry in comparison["measures"]):
        listed.append(
            ("† Stereology", "Estimated from slices, as if the material were alike in all directions of space.")
        )
    if comparison.get("two_point_correlation"):
        listed.append(
            (
                "Two-point correlation",
                "S<sub>2</sub>(r) is the probability that two points at distance r along an axis are both in the "
                "phase; S<sub>2</sub>(0) is the volume fraction. Curves are ratios of means over all samples.",
            )
        )
    listed.append(
        (
            "Difference, deviations, KS distance",
            "Difference of the means relative to the real mean; standard deviations of samples; the two-sample "
            "Kolmogorov-Smirnov distance, the largest between the two cumulative distributions; p is the chance of one "
            "as large between independent samples of one material. Samples of one image overlap, so that the real mean "
            "is less certain than their number tells, and p too small.",
        )
    )
    if comparison.get("classifier"):
        listed.append(
            (
                "Classifier",
                "A small network learns to tell real from generated on one half of the samples and is judged on the "
                "other half [2].",
            )
        )
    if comparison.get("nearest"):
        listed.append(
            (
                "Nearest real sub-volume",
                "The share of voxels that differ from the most similar part of the real image, over all the places "
                "and symmetries that were searched.",
            )
        )
    if comparison.get("seam"):
        listed.append(
            ("Seam", "The same measure taken across or around the faces where periodic volumes close, and in the rest.")
        )
    if comparison.get("leaning"):
        listed.append(
            (
                "Leaning",
                "The two-point correlation along one diagonal of a plane less that along the other, over the volume "
                "fraction: what leans to one side, which the axes do not show. p of no difference by Student's t test, "
                "times the number of tests.",
            )
        )
    if comparison.get("lattice"):
        listed.append(
            (
                "Stride lattice",
                "Volume fractions and label changes by position modulo the generator's stride, tested for flatness by "
                "chi-square with errors from between volumes.",
            )
        )
    sources = [_PAPER]
    if comparison.get("classifier"):
        sources.append(_CLASSIFIER)
    if keys & {"specific_surface_area", "interfacial_area", "relative_diffusivity", "tortuosity_factor"}:
        sources.append(_TAUFACTOR)
    text = "<br>".join(f'{text}<a href="https://doi.org/{doi}">doi:{doi}</a>' for text, doi in sources)
    return [*listed, ("Sources", text)]
