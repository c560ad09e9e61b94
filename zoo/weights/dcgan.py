"""The layout of DCGAN in PyTorch's example (github.com/pytorch/examples, dcgan): generator and discriminator, each a
Sequential called `main`, in two files. The source is {"netG": file, "netD": file}, or one file with these prefixes.
"""

from zoo.dcgan import DCGAN, Config
from zoo.weights.layout import Found, Layout, Shapes
from zoo.weights.rules import CONV, CONV_TRANSPOSE, Rule, Transform, batch_norm, linear, rule


def _from_vector(base: int) -> Transform:
    """Return the Transform of a ConvTranspose2d (Z, C, base, base) of one pixel -> Dense (Z, base * base * C)."""
    return Transform(
        lambda parts: parts[0].transpose(0, 2, 3, 1).reshape(parts[0].shape[0], -1),
        lambda ours: [ours.reshape(ours.shape[0], base, base, -1).transpose(0, 3, 1, 2)],
    )


def _to_logit(base: int) -> Transform:
    """Return the Transform of a Conv2d (1, C, base, base) that leaves one pixel -> Dense (base * base * C, 1)."""
    return Transform(
        lambda parts: parts[0].transpose(2, 3, 1, 0).reshape(-1, parts[0].shape[0]),
        lambda ours: [ours.reshape(base, base, -1, ours.shape[-1]).transpose(3, 2, 0, 1)],
    )


def rules(config: Config) -> list[Rule]:
    """Return the rules: netG.main.0, 1, 3, 4, ... (convolution, norm, activation) and netD.main.0, 2, 3, 5, ...

    The first convolution of netD has no norm.
    """
    found = [rule("params/generator/project/kernel", "netG.main.0.weight", _from_vector(config.base))]
    stages = len(config.widths)
    for i in range(stages):
        found += batch_norm(f"generator/norm{i}", f"netG.main.{3 * i + 1}")
        convolution = f"params/generator/conv{i + 1}"
        found += linear(convolution, f"netG.main.{3 * i + 3}", CONV_TRANSPOSE, bias=False)
    place = 0
    for i in range(stages):
        found += linear(f"params/discriminator/conv{i}", f"netD.main.{place}", CONV, bias=False)
        if i:
            found += batch_norm(f"discriminator/norm{i}", f"netD.main.{place + 1}")
        place += 3 if i else 2
    found.append(rule("params/discriminator/head/kernel", f"netD.main.{place}.weight", _to_logit(config.base)))
    return found


def _infer(shapes: Shapes, content: object, config: Config) -> Found:
    first = shapes.get("netG.main.0.weight", ())
    return {"latent": first[0], "base": first[2]} if len(first) == 4 else {}


def _refuses(config: Config) -> str:
    if config.classes:
        return "its networks are not conditioned on labels"
    if config.norm != "batch":
        return "its discriminator normalizes over the batch"
    return "its kernels are 4x4, with one pixel of padding on all sides" if config.kernel != 4 else ""


LAYOUTS = [
    Layout(
        "pytorch",
        DCGAN,
        rules,
        known_by=("netG.main.0.weight", "netD.main.0.weight"),
        infer=_infer,
        not_weights=("*.num_batches_tracked",),
        refuses=_refuses,
    )
]
