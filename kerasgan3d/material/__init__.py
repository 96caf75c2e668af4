"""Materials for training and references: labelled images, the usable part of them, and their statistics.

This package needs no neural network.
"""
