"""The nets and recipes of configs/grids/years.py on MNIST: is the finding an accident of one set?

Run:     zoo grid years_mnist --jobs 2    (MNIST in TFDS_DATA_DIR: zoo data prepare mnist)
Here:    10,000 images of MNIST at 16x16 pixels to learn from, 6,000 for validation, the 10,000 of its test split. All
         else is that of the other grid: as many images seen, the same rates, seeds, nets and recipes.
Rows:    as there; LeNet-5 has its 32 pixels here too.
Columns: as there.
Departs: as there.
"""

import dataclasses

from years import GRID as ON_SCENES

from train.config import Data

TRAINING = 54_000  # images of MNIST that are not held out for validation

GRID = dataclasses.replace(
    ON_SCENES,
    title="How much was architecture, how much was training: on MNIST",
    base=dataclasses.replace(ON_SCENES.base, data=Data("mnist", batch=64, image_size=16, labels=10_000 / TRAINING)),
)
