"""Drawings of architectures and of their lineage: complete, nothing on top of another, the same each time."""

import dataclasses
import itertools
import re

import pytest

import zoo
from train.history.timeline import lineage, rooms
from train.history.timeline.drawing import Drawing, draw
from zoo.wiring import wire


def drawn(name: str) -> list[Drawing]:
    card = zoo.card(name)
    return draw(wire(card.make(), card.inputs), card.inputs)


def test_repeated_blocks_are_one_box() -> None:
    whole, *inside = drawn("vit_tiny_patch16")
    names = [(box.name, box.times) for box in whole.parts]
    assert names == [("embed", 1), ("block0 … 11", 12), ("norm", 1), ("head", 1)]
    assert [drawing.title for drawing in inside] == ["Block", "SelfAttention", "MLP"]
    assert [drawing.where for drawing in inside] == ["block0", "block0/attention", "block0/mlp"]


def test_blocks_that_differ_in_size_stay_apart() -> None:
    whole = drawn("resnet20")[0]
    shown = [(box.name, box.times, box.shape) for box in whole.parts]
    assert shown[1:3] == [("s0b0 … 2", 3, "32×32×16"), ("s1b0", 1, "16×16×32")]
    assert sum(box.times for box in whole.parts) == 11


def test_a_shortcut_leads_around() -> None:
    blocks = [next(d for d in drawn(name) if d.title == "Block") for name in ("resnet20", "plain20")]
    assert [block.shortcuts for block in blocks] == [1, 0]
    assert [sum(box.kind == "sum" for box in block.boxes) for block in blocks] == [1, 0]


def test_inputs_and_figures_are_said() -> None:
    whole = drawn("transformer_mini")[0]
    assert whole.boxes[0].name == "source 64, target 64"
    assert whole.boxes[-1].name == "out 64×10000"
    (tokens,) = [box for box in whole.boxes if box.name == "tokens"]
    assert (tokens.type, tokens.shape, tokens.params) == ("Embed", "64×256", "2.6 M")
    inside = {box.name: box.family for drawing in drawn("transformer_mini") for box in drawing.parts}
    assert [inside[name] for name in ("tokens", "cross", "mlp_norm")] == ["dense", "attention", "norm"]


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "seq2seq_attention_mini", "bert_tiny", "dcgan_28", "gan"])
def test_nothing_covers_anything(name: str) -> None:
    for drawing in drawn(name):
        for above, below in itertools.pairwise(drawing.boxes):
            assert above.y + above.height < below.y
        around = sorted({line.x for line in drawing.lines if line.around})
        assert all(x > max(box.x + box.width for box in drawing.boxes) for x in around)
        assert all(line.x <= drawing.width for line in drawing.lines if line.around)
        ends = [(box.y, box.y + box.height) for box in drawing.boxes]
        assert ends[-1][1] <= drawing.height


def graph() -> lineage.Graph:
    return lineage.lay_out(rooms.members(undrawn()))


def undrawn() -> list[rooms.Room]:
    """The rooms of all models, without their drawings, which take seconds."""
    cards = {name: dataclasses.replace(card, module=None) for name, card in zoo.CARDS.items()}
    return [room for room in rooms.furnish(cards, [], []) if room.cards]


def test_the_lineage_has_every_paper_and_every_line() -> None:
    made = graph()
    assert len(made.nodes) == len({card.paper for card in zoo.CARDS.values()})
    lines = {(edge.parent, edge.child) for edge in made.edges}
    assert {("model-transformer_base", "model-vit_base_patch16"), ("model-resnet50", "model-transformer_base")} <= lines
    assert made == graph()


def test_the_lineage_goes_down_in_time_and_covers_nothing() -> None:
    made = graph()
    at = {node.id: node for node in made.nodes}
    for edge in made.edges:
        assert at[edge.parent].y < at[edge.child].y
    for one, two in itertools.combinations(made.nodes, 2):
        assert (one.x, one.y) != (two.x, two.y)
        assert (one.year < two.year) <= (one.y < two.y)
    for edge in made.edges:  # no upright stretch of a wire runs through a box that is not its own
        for x, start, end in _upright(edge.path):
            for node in made.nodes:
                if node.id not in (edge.parent, edge.child) and node.x < x < node.x + lineage.WIDTH:
                    assert node.y + lineage.TALL <= start or end <= node.y, (edge.parent, edge.child, node.id)


def _upright(path: str) -> list[tuple[float, float, float]]:
    """(x, from, to) of each V of a path."""
    x = y = 0.0
    found = []
    for letter, numbers in re.findall(r"([MCV])([^MCV]*)", path):
        values = [float(value) for value in numbers.split()]
        if letter == "V":
            found.append((x, y, values[0]))
            y = values[0]
        else:
            x, y = values[-2:]
    return found


def test_a_room_stands_for_a_paper() -> None:
    found = {room.id: room for room in undrawn()}
    resnet = found["model-resnet50"]
    assert {"resnet18", "plain56", "resnet110"} <= {card.name for card in resnet.cards}
    assert resnet.ideas[0].startswith("A block adds")
    assert ("model-transformer_base", "residual connections") in resnet.heirs
    assert found["model-gpt2"].title == "GPT (gpt2)"
    assert found["model-vit_base_patch16"].title == "ViT"
    assert rooms.room_id("model", "a<b>/c") == "model-a.3cb.3e.2fc"
