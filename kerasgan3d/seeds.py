"""Ranges of seeds by purpose, so that no two purposes share random numbers.

Seeds of latent fields are integers from 0 to 2**64 - 1. Users choose, and ``draw_seed`` draws, seeds below ``CHOSEN``;
the package itself uses seeds above it to train, calibrate and judge a generator. NumPy draws from
``default_rng([seed, ...])``: crops of a step from [seed, step], initial weights from [seed, network, layer] with
network 0 for the generator and 1, 2, ... for critics.
"""

# Seeds of samples and of runs are smaller, whether users choose them or they are drawn.
CHOSEN = 2**32

# First seeds of volumes that training samples and inspects; the following volumes count up.
CALIBRATION = 2**32  # for the calibration of volume fractions
MONITOR = 2**33  # for judging a generator during training
PRETRAINED = 2**34  # for measuring what a pretrained generator makes
# First seeds of the volumes on which a generator is tuned, and of those on which it is then judged; 2**16 times the
# seed of the tuning, below 2**16, and the number of the volume are added.
TUNING = 2**35
JUDGING = 2**36
# Latent fields of the volumes of training steps; 2**24 times the seed of the run, and the number of the volume in it,
# are added.
TRAINING = 2**60
# The field from which batch normalisation is recomputed.
NORMALIZATION = 2**41

# First seeds of volumes on which presets are measured. Settings were chosen on those from 10,000 on.
FIDELITY = 20_000
# First seeds of the volumes that a preset's comparison uses besides those that `compare` draws: large ones, periodic
# ones, and ones as small as a window; the following volumes count up.
COMPARISON = 20_000
COMPARISON_LARGE = COMPARISON + 1000
COMPARISON_PERIODIC = COMPARISON + 2000
COMPARISON_SMALL = COMPARISON + 3000

# Purposes of a comparison's random numbers, [seed, purpose]: sub-volumes or volumes, those that train the classifier
# and those that it is scored on, and periodic volumes.
SAMPLES, LEARNING, SCORING, PERIODIC = range(4)
# Purposes of the classifier's random numbers: batches, crops to be scored (real ones, and generated ones with the next
# number), and initial weights.
CLASSIFIER_BATCHES, CLASSIFIER_SCORES, CLASSIFIER_WEIGHTS = 0, 1, 3
# Purposes of a training step's random numbers besides crops, [seed, step, purpose].
STEP = 1
