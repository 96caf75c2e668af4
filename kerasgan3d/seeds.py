"""Every range of seeds, and what it is for: what is drawn for one purpose is not drawn for another.

Seeds of latent fields are integers from 0 to 2**64 - 1. People choose, and ``draw_seed`` draws, those below ``CHOSEN``;
what the package itself samples to train, to calibrate or to judge a generator has seeds beyond. What NumPy draws comes
from ``default_rng([seed, ...])``: crops of a step from [seed, step], initial weights from [seed, network, layer] with
network 0 for the generator and 1, 2, ... for critics.
"""

# Seeds that people choose, of samples and of runs, and those that are drawn where none is given, are smaller.
CHOSEN = 2**32

# First seeds of volumes that training makes to look at, each of the next ones counting up.
CALIBRATION = 2**32  # by which volume fractions are set right
MONITOR = 2**33  # by which a generator is judged as it trains
PRETRAINED = 2**34  # by which is known what a pretrained generator makes
# First seeds of volumes that a generator is tuned on, and of those by which it is judged then; 2**16 times the seed of
# the tuning, below 2**16, and the number of the volume are added.
TUNING = 2**35
JUDGING = 2**36
# Latent fields of the volumes of training steps; 2**24 times the seed of the run, and the number of the volume in it,
# are added.
TRAINING = 2**60
# The field by which batch normalisation is made anew.
NORMALIZATION = 2**41

# First seeds of volumes by which presets are measured. Settings were chosen by those from 10,000 on.
FIDELITY = 20_000
# Of the volumes that a preset's comparison looks at besides those that `compare` draws: large ones, periodic ones, and
# ones as small as a window; each of the next ones counts up.
COMPARISON = 20_000
COMPARISON_LARGE = COMPARISON + 1000
COMPARISON_PERIODIC = COMPARISON + 2000
COMPARISON_SMALL = COMPARISON + 3000

# What a comparison draws with one seed, as [seed, purpose]: sub-volumes or volumes, those that the classifier learns
# from and those that it is scored on, and periodic volumes.
SAMPLES, LEARNING, SCORING, PERIODIC = range(4)
# What the classifier draws likewise: batches, crops to be scored (real ones, and generated ones with the next number),
# and initial weights.
CLASSIFIER_BATCHES, CLASSIFIER_SCORES, CLASSIFIER_WEIGHTS = 0, 1, 3
# What a training step draws besides crops, as [seed, step, purpose].
STEP = 1
