"""Ranges of seeds: what is drawn for one purpose is not drawn for another."""

from itertools import combinations

from kerasgan3d import seeds
from kerasgan3d.sampling.field import draw_seed


def test_ranges_of_latent_fields_do_not_meet():
    # How many seeds of each range are used, at most.
    ranges = {
        "CHOSEN": (0, seeds.CHOSEN),
        "CALIBRATION": (seeds.CALIBRATION, 10**6),
        "MONITOR": (seeds.MONITOR, 10**6),
        "PRETRAINED": (seeds.PRETRAINED, 10**6),
        "TUNING": (seeds.TUNING, 2**32),
        "JUDGING": (seeds.JUDGING, 2**32),
        "TRAINING": (seeds.TRAINING, seeds.CHOSEN),
        "NORMALIZATION": (seeds.NORMALIZATION, 1),
    }
    for (a, (first, count)), (b, (other, others)) in combinations(ranges.items(), 2):
        assert first + count <= other or other + others <= first, f"{a} and {b}"
    assert max(first + count for first, count in ranges.values()) <= 2**64


def test_purposes_of_one_seed_are_different():
    purposes = (seeds.SAMPLES, seeds.LEARNING, seeds.SCORING, seeds.PERIODIC)
    assert purposes == (0, 1, 2, 3)
    scores = (seeds.CLASSIFIER_SCORES, seeds.CLASSIFIER_SCORES + 1)
    assert len({seeds.CLASSIFIER_BATCHES, *scores, seeds.CLASSIFIER_WEIGHTS}) == 4


def test_drawn_seeds_are_in_the_range_of_chosen_ones():
    assert all(0 <= draw_seed() < seeds.CHOSEN for _ in range(100))
