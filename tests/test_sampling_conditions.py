"""The condition field: drawn it is stationary and a pure function of place, wished it is the wish."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kerasgan3d.sampling.conditions import ConditionedField, Conditions, read_fractions
from kerasgan3d.sampling.field import LatentField

PHASES = ("pore", "NMC", "CBD")
TAPS = tuple(np.array([1, 2, 3, 2, 1]) / np.sqrt(19))
MATERIAL = Conditions(
    mean=(0.4, 0.5, 0.1),
    deviation=(0.05, 0.045, 0.012),
    root=((0.8, -0.6, 0.0), (-0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
    taps=(TAPS, TAPS, (1.0,)),
    lowest=(0.25, 0.3, 0.05),
    highest=(0.6, 0.65, 0.15),
    gain=(1.0, 1.0, 1.0),
    shift=(0.0, 0.0, 0.0),
)
CELLS = (4, 3, 2)


def asked(fractions, cells=CELLS, **options):
    return MATERIAL.asked(fractions, PHASES, cells, **options)


def field(wish=None, seed=3, first=(0, 0, 0), cells=CELLS, conditions=MATERIAL):
    return ConditionedField(seed, 5, conditions, first, cells, wish)


def test_latents_are_those_without_conditions():
    found = field().window((-2, 1, 0), (4, 5, 6))
    assert found.shape == (4, 5, 6, 8)
    np.testing.assert_array_equal(found[..., :5], LatentField(3, 5).window((-2, 1, 0), (4, 5, 6)))


def test_a_drawn_field_is_a_pure_function_of_place():
    whole = field().window((-3, -3, -3), (10, 9, 8))
    np.testing.assert_array_equal(field().window((0, -1, 2), (4, 3, 2)), whole[3:7, 2:5, 5:7])
    assert (field(seed=4).window((0, 0, 0), (2, 2, 2)) != field().window((0, 0, 0), (2, 2, 2))).any()


@pytest.mark.parametrize("period", [(4, None, None), (None, 3, 2), (1, 1, 1)])
def test_a_drawn_field_is_periodic_where_the_latents_are(period):
    found = field().window((0, 0, 0), (12, 12, 12), period)
    for axis, length in enumerate(period):
        if length is not None:
            np.testing.assert_array_equal(found, np.roll(found, length, axis))


def test_a_drawn_field_has_the_correlations_of_the_phases_and_of_the_filter():
    y = field().window((0, 0, 0), (48, 48, 48))[..., 5:].astype(float)
    root = np.array(MATERIAL.root)
    np.testing.assert_allclose(np.cov(y.reshape(-1, 3).T), root @ root.T, atol=0.04)
    lag = (y[2:, ..., 0] * y[:-2, ..., 0]).mean()
    assert lag == pytest.approx(sum(a * b for a, b in zip(TAPS, TAPS[2:], strict=False)), abs=0.04)
    assert abs((y[:, :, 1:, 2] * y[:, :, :-1, 2]).mean()) < 0.02


def test_a_number_is_asked_everywhere_and_the_others_keep_their_ratio():
    wish = asked({"pore": 0.46})
    assert wish.shape == (1, 1, 1, 3)
    np.testing.assert_allclose(wish[0, 0, 0], [0.46, 0.54 * 5 / 6, 0.54 / 6])
    y = field(wish).window((-9, 2, 0), (3, 3, 30))[..., 5:]
    np.testing.assert_allclose(
        y * MATERIAL.deviation + np.array(MATERIAL.mean), np.broadcast_to(wish, y.shape), atol=1e-7
    )


def test_a_profile_spans_the_window_and_goes_on_as_at_its_faces():
    wish = asked({"pore": [0.3, 0.5]}, (4, 3, 2))
    np.testing.assert_allclose(wish[:, 0, 0, 0], [0.325, 0.375, 0.425, 0.475])
    y = field(wish, first=(10, 0, 0)).window((8, 0, 0), (8, 1, 1))[:, 0, 0, 5]
    np.testing.assert_allclose(y * 0.05 + 0.4, [0.325] * 3 + [0.375, 0.425] + [0.475] * 3, atol=1e-7)


def test_a_profile_may_lie_along_any_axis():
    wish = asked({"NMC": {"x": [0.4, 0.5, 0.6]}}, (1, 1, 4))
    np.testing.assert_allclose(wish[0, 0, :, 1], [0.425, 0.475, 0.525, 0.575])


def test_a_profile_along_a_periodic_axis_returns_to_its_beginning():
    wish = asked({"pore": [0.3, 0.5]}, (4, 1, 1), periodic=(True, False, False))
    np.testing.assert_allclose(wish[:, 0, 0, 0], [0.35, 0.45, 0.45, 0.35])
    y = field(wish, cells=(4, 1, 1)).window((0, 0, 0), (8, 1, 1), (4, None, None))[:, 0, 0, 5]
    np.testing.assert_array_equal(y[:4], y[4:])


def test_a_coarse_field_is_interpolated_and_all_phases_may_be_asked():
    pore = np.array([0.3, 0.5]).reshape(1, 2, 1)
    wish = asked({"pore": pore, "NMC": 0.9 - pore, "CBD": 0.1}, (2, 2, 2))
    np.testing.assert_allclose(wish[0, :, 0], [[0.35, 0.55, 0.1], [0.45, 0.45, 0.1]])


def test_a_wish_is_corrected_by_what_the_network_makes_of_wishes():
    corrected = replace(MATERIAL, gain=(1.25, 1.0, 1.0), shift=(0.01, 0.0, 0.0))
    y = corrected.standardised(np.array([0.46, 0.45, 0.09]))
    assert 0.4 + 1.25 * (y[0] * 0.05) + 0.01 == pytest.approx(0.46)


def test_what_is_drawn_is_corrected_likewise():
    plain = ConditionedField(3, 4, MATERIAL).window((0, 0, 0), (6, 5, 4))
    corrected = replace(MATERIAL, gain=(1.25, 1.0, 0.5), shift=(0.01, 0.0, 0.0))
    found = ConditionedField(3, 4, corrected).window((0, 0, 0), (6, 5, 4))
    np.testing.assert_array_equal(found[..., :4], plain[..., :4])
    off = np.array([0.01 / MATERIAL.deviation[0], 0.0, 0.0])
    np.testing.assert_allclose(found[..., 4:], (plain[..., 4:] - off) / [1.25, 1.0, 0.5], rtol=1e-5, atol=1e-5)


def test_wishes_beyond_what_was_learned_are_refused_with_the_range_or_allowed():
    with pytest.raises(ValueError, match=r"learned of pore, 0\.25 to 0\.6\. Received: 0\.3 to 0\.7"):
        asked({"pore": [0.3, 0.3, 0.7, 0.7, 0.7]}, (8, 1, 1))
    assert asked({"pore": 0.7}, beyond=True)[0, 0, 0, 0] == 0.7


WRONG = {
    "no dict": (0.4, "must be a dict from phases"),
    "nothing": ({}, "must be a dict from phases"),
    "another phase": ({"Ni": 0.4}, r"name phases of pore, NMC, CBD\. Received: 'Ni'"),
    "more than all": ({"pore": 1.2}, "must be from 0 to 1"),
    "negative": ({"pore": [0.3, -0.1]}, "must be from 0 to 1"),
    "no number": ({"pore": "much"}, "must be from 0 to 1"),
    "not finite": ({"pore": float("nan")}, "must be from 0 to 1"),
    "two axes": ({"pore": {"x": [0.4], "y": [0.4]}}, "along one axis"),
    "no axis": ({"pore": {"t": [0.4]}}, "along one axis"),
    "a plane": ({"pore": [[0.4, 0.4]]}, "a list along an axis, or an array"),
    "nothing along an axis": ({"pore": []}, "a list along an axis, or an array"),
    "two that exceed one": ({"pore": 0.55, "NMC": 0.6}, "add up to at most 1. Received: 1.15"),
    "all that miss one": ({"pore": 0.4, "NMC": 0.4, "CBD": 0.1}, "of all phases must add up to 1. Received: 0.9"),
}


@pytest.mark.parametrize(("fractions", "message"), WRONG.values(), ids=list(WRONG))
def test_wishes_that_are_none_are_refused(fractions, message):
    with pytest.raises(ValueError, match=message):
        asked(fractions)


CURVED = replace(MATERIAL, response=(((0.2, 0.4, 0.6), (0.3, 0.4, 0.45)),) + (((0.0, 1.0), (0.0, 1.0)),) * 2)


@pytest.mark.parametrize("conditions", [MATERIAL, CURVED], ids=["line", "curve"])
def test_conditions_survive_json(conditions):
    record = json.loads(json.dumps(conditions.to_json()))
    assert Conditions.from_json(record) == conditions


def test_requests_are_corrected_for_a_measured_response():
    """What is drawn is not: the response to uniform requests differs from that to fields that vary."""
    for wanted, corrected in ((0.35, 0.3), (0.4, 0.4), (0.425, 0.5), (0.5, 0.65), (0.25, 0.15)):
        wish = np.array([[wanted, 0.5, 0.1]])
        np.testing.assert_allclose(
            CURVED.standardised(wish), MATERIAL.standardised(np.array([[corrected, 0.5, 0.1]])), atol=1e-6
        )
    np.testing.assert_array_equal(
        field(conditions=CURVED).window((0, 0, 0), CELLS), field(conditions=MATERIAL).window((0, 0, 0), CELLS)
    )


HOSTILE = {
    "no dict": None,
    "a name too many": {**MATERIAL.to_json(), "more": 1},
    "a mean that is none": {**MATERIAL.to_json(), "mean": [0.5, 0.4, 0.4]},
    "texts": {**MATERIAL.to_json(), "deviation": ["a", "b", "c"]},
    "no deviation": {**MATERIAL.to_json(), "deviation": [0.1, 0.0, 0.1]},
    "too few numbers": {**MATERIAL.to_json(), "gain": [1.0]},
    "a root that is not square": {**MATERIAL.to_json(), "root": [[1.0, 0.0], [0.0, 1.0]]},
    "an even filter": {**MATERIAL.to_json(), "taps": [[1.0], [0.5, 0.5], [1.0]]},
    "a filter that is too long": {**MATERIAL.to_json(), "taps": [[1.0], [0.1] * 99, [1.0]]},
    "not finite": {**MATERIAL.to_json(), "shift": [0.0, float("inf"), 0.0]},
    "upside down": {**MATERIAL.to_json(), "lowest": [0.9, 0.3, 0.05]},
    "a response of one phase": {**MATERIAL.to_json(), "response": [[[0.1, 0.2], [0.1, 0.2]]]},
    "a response that falls": {**MATERIAL.to_json(), "response": [[[0.1, 0.2], [0.2, 0.1]]] * 3},
    "a response of uneven lists": {**MATERIAL.to_json(), "response": [[[0.1, 0.2], [0.1, 0.2, 0.3]]] * 3},
    "a response of texts": {**MATERIAL.to_json(), "response": [[["a", "b"], [0.1, 0.2]]] * 3},
    "a response that goes on": {**MATERIAL.to_json(), "response": [[list(range(99))] * 2] * 3},
    "a response without bounds": {**MATERIAL.to_json(), "response": [[[0.1, 10**400], [0.1, 0.2]]] * 3},
    "a mean beyond all numbers": {**MATERIAL.to_json(), "mean": [10**400, 0.5, 0.1]},
    "a root of numbers": {**MATERIAL.to_json(), "root": [1, 2, 3]},
    "taps of numbers": {**MATERIAL.to_json(), "taps": [1, 1, 1]},
    "a response that is none": {**MATERIAL.to_json(), "response": [0.1, 0.2, 0.3]},
    "a list that goes on": {**MATERIAL.to_json(), "mean": [1e-3] * 1000},
}


@pytest.mark.parametrize("record", HOSTILE.values(), ids=list(HOSTILE))
def test_conditions_that_are_none_are_refused(record):
    with pytest.raises(ValueError, match="`conditions` must"):
        Conditions.from_json(record)


@pytest.mark.parametrize(
    ("texts", "fractions"),
    [
        ([], None),
        ([" pore = 0.45 ", "NMC=.4"], {"pore": 0.45, "NMC": 0.4}),
        (["pore=0.3:0.5"], {"pore": {"z": [0.3, 0.5]}}),
        (["pore=x:0.3:0.5:0.4"], {"pore": {"x": [0.3, 0.5, 0.4]}}),
        (["pore=y:0.3"], {"pore": 0.3}),
    ],
)
def test_fractions_are_read_as_people_write_them(texts, fractions):
    assert read_fractions(texts) == fractions


@pytest.mark.parametrize(
    "text", ["", "pore", "=0.4", "pore=", "pore=x:", "pore=q:0.4", "pore=0.3:", "pore=45%", "a=b=1"]
)
def test_texts_that_are_no_fractions_are_refused(text):
    with pytest.raises(ValueError, match="must be phase=fraction, such as pore=0.45, or a profile") as refused:
        read_fractions([text])
    assert repr(text) in str(refused.value)


def test_a_phase_is_named_once():
    with pytest.raises(ValueError, match="each phase once. Received: pore twice"):
        read_fractions(["pore=0.4", "NMC=0.5", "pore=0.4"])
