"""DCGAN (Radford et al. 2015) on MNIST: its recipe at half the width and 28 pixels.

Run:     zoo train mnist_dcgan
         zoo judge runs/mnist_dcgan
Expect:  all 10 classes, entropy 2.218 of 2.303 nats; Fréchet distance 21.56 (0.298 between training and test
         images), precision 0.461, recall 0.915 in the features of mnist_lenet5; Parzen log-likelihood
         80.9 ± 1.5 nats (σ = 0.215); 3 epochs, one seed, cpu, 2 cores, shared, jax 0.10.2, 2026-11-24
"""

from train.config import Adversarial, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("dcgan_28"),
    data=Data("mnist", batch=64),
    task=Adversarial(),
    optim=Optim("adam", lr=2e-4, b1=0.5),
    steps=2_500,
    eval_every_steps=250,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}},
)
