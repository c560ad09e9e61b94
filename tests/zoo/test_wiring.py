"""The wired tree of a model: what tells architectures apart is read off the program, not told."""

import pytest
from flax import linen as nn

import zoo
from zoo.wiring import IN, OUT, SUM, Part, wire


def wired(name: str) -> Part:
    card = zoo.card(name)
    return wire(card.make(), card.inputs)


def within(part: Part, path: str) -> Part:
    for name in path.split("/"):
        (part,) = [inner for inner in part.parts if inner.name == name]
    return part


def named(part: Part) -> set[tuple[str, str]]:
    """The wires by name; the sums are numbered in their order."""
    sums = [i for i, inner in enumerate(part.parts) if inner.module == SUM]
    names = {IN: "in", OUT: "out"} | {i: f"+{sums.index(i)}" for i in sums}
    return {(names.get(w.start) or part.parts[w.start].name, names.get(w.end) or part.parts[w.end].name)
            for w in part.wires}  # fmt: skip


CHAIN = {("in", "conv1"), ("conv1", "norm1"), ("norm1", "conv2"), ("conv2", "norm2")}


def test_a_residual_block_differs_from_a_plain_one_in_its_shortcut() -> None:
    assert named(within(wired("plain20"), "s0b1")) == CHAIN | {("norm2", "out")}
    assert named(within(wired("resnet20"), "s0b1")) == CHAIN | {("norm2", "+0"), ("in", "+0"), ("+0", "out")}


def test_a_projected_shortcut_has_its_own_convolution() -> None:
    block = named(within(wired("resnet50"), "s1b0"))
    assert {("in", "shortcut_conv"), ("shortcut_conv", "shortcut_norm"), ("shortcut_norm", "+0")} <= block
    assert ("in", "+0") not in block


def test_norms_stand_before_the_sum_in_gpt2_and_after_it_in_bert() -> None:
    gpt, bert = (named(within(wired(name), "block0")) for name in ("gpt_char_mini", "bert_tiny"))
    assert {("in", "attention_norm"), ("attention", "+0"), ("in", "+0"), ("+0", "mlp_norm"), ("+1", "out")} <= gpt
    assert {("in", "attention"), ("in", "+0"), ("+0", "attention_norm"), ("mlp_norm", "out")} <= bert
    assert ("in", "attention_norm") not in bert


def test_every_block_of_a_decoder_reads_the_encoder() -> None:
    wires = named(wired("transformer_mini"))
    assert {("encoder2", f"decoder{i}") for i in range(3)} <= wires
    assert not {(f"encoder{i}", f"decoder{j}") for i in range(2) for j in range(3)} & wires


def test_recurrence_is_marked_and_stays_inside() -> None:
    model = wired("lstm_char")
    assert named(model) == {("in", "embed"), ("embed", "layers"), ("layers", "head"), ("head", "out")}
    assert within(model, "layers/layer0").loops
    assert not within(model, "embed").loops


def test_what_lies_on_a_wire() -> None:
    lenet = {(w.start, w.end): w.says for w in wired("lenet5").wires}
    assert lenet[0, 1] == ("tanh",)
    alexnet = {(w.start, w.end): w.says for w in wired("alexnet_cifar").wires}
    assert alexnet[0, 1] == ("max pooling", "ReLU")
    assert [w.says for w in wired("resnet20").wires][-2] == ("global average pooling",)
    assert [w.says for w in within(wired("vit_mini_patch8"), "block0/mlp").wires][1] == ("GELU",)
    assert [w.says for w in within(wired("gpt_char_mini"), "block0/mlp").wires][1] == ("GELU",)


@pytest.mark.parametrize(
    "name",
    [
        *("perceptron", "mlp", "lstm_small", "lenet5", "alexnet", "dqn_nature", "seq2seq_mini", "gan", "dcgan_28"),
        *("seq2seq_attention_mini", "resnet18", "simclr_resnet20", "vit_mini_patch8", "gpt1"),
    ],
)
def test_the_tree_holds_the_whole_model(name: str) -> None:
    model = wired(name)
    assert (model.params, model.flops) == (zoo.card(name).params, zoo.card(name).flops)

    def check(part: Part) -> None:
        starts, ends = {w.start for w in part.wires}, {w.end for w in part.wires}
        if part.parts:
            assert IN in starts
            assert OUT in ends
            assert sum(inner.params for inner in part.parts) <= part.params
        for place, inner in enumerate(part.parts):
            assert place in starts or part.loops, f"{inner.name} feeds nothing"  # else: what the next turn begins with
            check(inner)

    check(model)


def test_of_the_encoder_that_only_another_method_of_is_called_there_is_a_part() -> None:
    model = wired("simclr_resnet20")
    assert [part.name for part in model.parts] == ["encoder", "head"]
    assert (model.parts[0].module, model.parts[0].output) == ("ResNet", (64,))


def test_sums_of_one_source_are_no_parts() -> None:
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            x = nn.Dense(3, name="a")(x)
            return nn.Dense(3, name="b")(nn.relu(x + x[::-1]) + 1)

    part = wire(Twice(), {"x": ((3,), "float32")})
    assert [inner.name for inner in part.parts] == ["a", "b"]
    assert part.wires[1].says == ("ReLU",)
