"""The pair of Goodfellow et al. 2014 on MNIST: rectified generator, maxout discriminator with dropout.

Run:     zoo train mnist_gan
         zoo judge runs/mnist_gan
Expect:  a Parzen log-likelihood of 151.4 ± 1.7 nats on 10,000 test images, σ = 0.215 chosen on 6,000 validation
         images, after 20 epochs and still rising (139.3 ± 1.8 after 16); 10 of 10 classes, entropy 2.074 of 2.303
         nats; Fréchet distance 25.48 (0.298 between training and test images), precision 0.752, recall 0.802 in
         the features of mnist_lenet5; one seed, cpu, 2 cores, shared, jax 0.10.2, 2026-11-24.
         Goodfellow et al. 2014 give 225 ± 2 after many more epochs of gradient descent with momentum.
         Departs: Adam, and the average of the generator's weights makes the images
"""

from train.config import Adversarial, Data, Experiment, Model, Optim

CONFIG = Experiment(
    model=Model("gan"),
    data=Data("mnist", batch=100),
    task=Adversarial(),
    optim=Optim("adam", lr=2e-4, b1=0.5, ema=0.999),
    steps=10_800,
    eval_every_steps=540,
    smoke={"steps": 2, "eval_every_steps": 2, "data": {"batch": 8}},
)
