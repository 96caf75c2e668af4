"""The one file that is specific to a backend: gradients of the two players, and their updates."""

import keras


def gradient_step(gan, reals):
    """Update the critics once and the generator as often as the recipe says.

    Args:
        gan: The GAN3D.
        reals: Real data, one array per critic.

    Returns:
        dict of scalars, one per metric of ``gan``.

    Raises:
        NotImplementedError: on a backend other than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise NotImplementedError(
            f"training needs the TensorFlow backend of Keras. Received: {keras.backend.backend()!r}."
        )
    return _tensorflow_step(gan, reals)


def _tensorflow_step(gan, reals):
    import tensorflow as tf

    batch = reals[0].shape[0] if gan.volumetric else _volumes_per_batch(gan, reals)
    report = {}
    for update in range(gan.settings["generator_updates"]):
        with tf.GradientTape() as tape:
            volumes = gan.generate(batch)
            fakes = gan.views(volumes)
            if update == 0:
                # The critics learn from the volumes that the generator then learns from: one pass instead of two.
                with tape.stop_recording():
                    report |= _tensorflow_critic_update(gan, reals, [tf.stop_gradient(fake) for fake in fakes])
            total, report["generator_loss"], report["fraction_error"] = gan.generators_loss(volumes, fakes)
        variables = gan.generator.trainable_variables
        gan.generator_optimizer.apply(tape.gradient(total, variables), variables)
    return report


def _tensorflow_critic_update(gan, reals, fakes):
    import tensorflow as tf

    every, weight = gan.settings["r1_every"], gan.settings["r1"]

    def r1():
        penalties = []
        for critic, real in zip(gan.critics, reals, strict=True):
            with tf.GradientTape() as inner:
                inner.watch(real)
                score = tf.reduce_sum(critic(real, training=True))
            axes = list(range(1, len(real.shape)))
            penalties.append(tf.reduce_mean(tf.reduce_sum(tf.square(inner.gradient(score, real)), axes)))
        return tf.add_n(penalties) / len(penalties)

    variables = gan.critic_variables
    with tf.GradientTape() as tape:
        loss, real, fake = gan.critics_loss(reals, fakes)
        penalty = tf.zeros(())
        if weight and every == 1:
            penalty = r1()
        elif weight:
            due = tf.equal(tf.cast(gan.critic_optimizer.iterations, tf.int64) % every, 0)
            penalty = every * tf.cond(due, r1, lambda: tf.zeros(()))
        total = loss + weight / 2 * penalty
    gan.critic_optimizer.apply(tape.gradient(total, variables), variables)
    return {"critic_loss": loss, "real": real, "fake": fake, "r1": penalty}


def _volumes_per_batch(gan, reals):
    """How many volumes give as many slices as the real data hold."""
    slices = sum(real.shape[0] for real in reals)
    return max(1, slices // (3 * gan.slices))
