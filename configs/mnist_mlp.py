"""Multi-layer perceptron with dropout on MNIST, 20 epochs, no augmentation.

Run:     zoo train mnist_mlp
Expect:  not yet run
"""

from train.config import Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("mlp", {"widths": (512, 512), "dropout": 0.3}),
    data=Data("mnist", batch=128),
    optim=Optim("adam", lr=2e-3, schedule="cosine"),
    steps=8_420,
    eval_every_steps=421,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 4}},
)
