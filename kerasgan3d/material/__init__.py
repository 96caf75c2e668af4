"""A material as training and references know it: labelled images, what of them is used, and their statistics.

Nothing here needs a neural network.
"""
