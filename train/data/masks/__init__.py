"""Images with a class for each pixel: composed scenes, the user's own folders, and sets of TFDS that have masks.

A mask is uint8 (H, W): the number of each pixel's class, or `train.data.split.IGNORED`, 255, where it is not known.
"""
