"""Every registered model is what its card says, and the public face answers clearly."""

import dataclasses
import functools
import subprocess
import sys
from typing import Any

import jax
import pytest
from jax.extend import core

import zoo
from zoo import cards, measure
from zoo.convolution import plain_forms

# Published counts, each computed by at least one other implementation (torchvision, transformers, timm).
PUBLISHED = {
    "alexnet": 60_965_224,
    "alexnet_one_tower": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "lenet5": 61_706,
    "lecun1989": 9_760,
    "unet": 31_030_658,
    "fcn32s": 134_346_581,
    "fcn16s": 134_346_581 + 10_773 + 7_056,  # pool4's scores, and one enlargement
    "fcn8s": 134_346_581 + 10_773 + 5_397 + 2 * 7_056,  # pool3's too
    "mlp": 266_610,
    "dqn_2013": 677_172,
    "dqn_nature": 1_686_180,
    "dqn_mlp": 10_934,
    "dqn_minatar": 132_566,
    "dcgan_64": 3_576_704 + 2_765_568,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "seq2seq": 384_112_000,
    "transformer_base": 63_082_496,
    "transformer_big": 214_245_376,
    "bert_tiny": 4_385_920,
    "bert_mini": 11_170_560,
    "bert_small": 28_763_648,
    "bert_medium": 41_373_184,
    "bert_base": 109_482_240,
    "bert_large": 335_141_888,
    "gpt1": 116_534_784,
    "gpt2": 124_439_808,
    "gpt2_medium": 354_823_168,
    "gpt2_large": 774_030_080,
    "gpt2_xl": 1_557_611_200,
    "gpt_char": 10_745_088,
    "gpt_char_mini": 804_096,
    "vit_tiny_patch16": 5_717_416,
    "vit_small_patch16": 22_050_664,
    "vit_base_patch16": 86_567_656,
    "vit_large_patch16": 304_326_632,
    "vit_huge_patch14": 632_045_800,
}
CIFAR_STEM = {"stem_kernel": 3, "stem_stride": 1, "stem_pool": False, "classes": 10}
PUBLISHED_VARIANTS = [
    ("alexnet", {"towers": 1}, 62_378_344),
    ("vgg11", {"batch_norm": True}, 132_868_840),
    ("vgg13", {"batch_norm": True}, 133_053_736),
    ("vgg16", {"batch_norm": True}, 138_365_992),
    ("vgg19", {"batch_norm": True}, 143_678_248),
    ("mlp", {"widths": (1000, 1000)}, 1_796_010),
    ("mlp", {"widths": (30,)}, 23_860),
    ("resnet18", CIFAR_STEM, 11_173_962),
    ("resnet50", {"stride_in_3x3": True}, 25_557_032),
    *((f"resnet{n}", {"shortcut": "B"}, PUBLISHED[f"resnet{n}"] + 2_752) for n in (20, 32, 44, 56, 110)),
    ("dqn_2013", {"actions": 18}, 680_770),
    ("dqn_nature", {"actions": 6}, 1_687_206),
    ("dqn_nature", {"actions": 18}, 1_693_362),
    ("bert_tiny", {"head": "pretrain"}, 4_433_468),
    ("bert_mini", {"head": "pretrain"}, 11_267_900),
    ("bert_small", {"head": "pretrain"}, 29_058_876),
    ("bert_medium", {"head": "pretrain"}, 41_668_412),
    ("bert_base", {"head": "pretrain"}, 110_106_428),
    ("bert_large", {"head": "pretrain"}, 336_226_108),
    ("vit_base_patch16", {"patch": 32}, 88_224_232),
    ("vit_large_patch16", {"patch": 32}, 306_535_400),
]


@functools.cache  # tracing `init` takes most of the time of these tests
def shapes(name: str) -> tuple[Any, dict]:
    """The shapes of a card's output and variables."""
    return zoo.card(name).shapes()


@functools.cache  # and so does tracing the forward pass
def traced(name: str) -> jax.stages.Traced:
    """The forward pass of one example, as XLA counts it: its convolutions plain, its loops unrolled."""
    card = zoo.card(name)
    model, (_, variables) = card.make(), shapes(name)
    x = {name: jax.ShapeDtypeStruct((1, *shape), dtype) for name, (shape, dtype) in card.inputs.items()}
    with pytest.MonkeyPatch.context() as patch, plain_forms():
        patch.setattr(jax.lax, "scan", functools.partial(jax.lax.scan, unroll=True))  # XLA counts a loop's body once
        return jax.jit(lambda variables, x: model.apply(variables, **x, train=False)).trace(variables, x)


@pytest.mark.parametrize("card", zoo.CARDS.values(), ids=zoo.CARDS)
def test_card_tells_the_truth(card: zoo.Card) -> None:
    out, variables = shapes(card.name)
    assert jax.tree.map(lambda o: o.shape[1:], out) == card.output
    assert {o.shape[0] for o in jax.tree.leaves(out)} == {2}
    assert sum(p.size for p in jax.tree.leaves(variables["params"])) == card.params
    assert card.params == PUBLISHED.get(card.name, card.params)
    program = traced(card.name).jaxpr  # its loops are loops here: they are unrolled for XLA
    assert measure.count_flops(core.jaxpr_as_fun(program), *program.in_avals) == card.flops


LARGE = 40_000_000  # parameters above which XLA's count of a card is left to the slow tests


@pytest.mark.parametrize(
    "card",
    [
        pytest.param(card, id=name, marks=[pytest.mark.slow] if card.params > LARGE else [])
        for name, card in zoo.CARDS.items()
    ],
)
def test_xla_counts_nearly_the_same_work(card: zoo.Card) -> None:
    counted = traced(card.name).lower().cost_analysis()["flops"]
    # XLA leaves out multiplications by border zeros (at most 17 %) and adds elementwise work (at most 10 %).
    assert 0.83 <= counted / card.flops <= 1.10


def test_published_counts_are_of_registered_models() -> None:
    assert set(PUBLISHED) <= set(zoo.CARDS)


@pytest.mark.parametrize(("name", "fields", "params"), PUBLISHED_VARIANTS)
def test_variants_have_their_published_size(name: str, fields: dict, params: int) -> None:
    assert zoo.param_count(name, **fields) == params


def test_catalogue_is_in_historical_order_and_described() -> None:
    years = [card.year for card in zoo.CARDS.values()]
    assert years == sorted(years)
    assert years[0] == 1958
    for card in zoo.CARDS.values():
        assert card.idea.endswith(".")
        assert card.paper.url.startswith("https://")


def test_every_card_says_where_its_initial_values_come_from() -> None:
    """From the paper or a code, and where; or what they are instead. test_initial_values.py measures some."""
    for card in zoo.CARDS.values():
        origin, _, values = card.initial_values.partition(":")
        known = origin.startswith(("As in ", "Not the paper's", "Not the authors'", "The paper gives none"))
        assert known, f"{card.name} needs initial_values, which begin as CONTRIBUTING.md says"
        assert values.endswith(".")


def test_every_parent_is_a_model_that_is_not_younger() -> None:
    for card in zoo.CARDS.values():
        for parent, what in card.parents.items():
            assert zoo.card(parent).year <= card.year
            assert what
            assert what[-1] != "."
    assert zoo.card("transformer_base").parents.keys() == {"seq2seq_attention", "resnet50"}
    assert cards.ancestors(zoo.CARDS, "vit_base_patch16") > {"transformer_base", "resnet50", "lenet5", "perceptron"}
    assert [card.name for card in zoo.CARDS.values() if not card.parents] == ["perceptron"]  # all come from it


@pytest.mark.parametrize(
    ("parents", "line"),
    [
        ({"resnet18": {"alexnot": "depth"}}, "resnet18: parent 'alexnot' is not a registered model"),
        ({"alexnet": {"resnet18": "depth"}}, "alexnet: parent resnet18 is younger"),
        ({"gan": {"seq2seq": "x"}, "seq2seq": {"gan": "y"}}, "parent .* is younger, or descends from"),
    ],
)
def test_a_wrong_parent_stops_the_import(parents: dict, line: str) -> None:
    wrong = {name: dataclasses.replace(card, parents=parents.get(name, {})) for name, card in zoo.CARDS.items()}
    with pytest.raises(RuntimeError, match=line):
        cards.check_parents(wrong)


def test_the_papers_own_counts_are_near() -> None:
    counted = [card for card in zoo.CARDS.values() if card.paper_params]
    assert len(counted) >= 15
    for card in counted:  # GPT-2's smallest is 124 M where its paper says 117 M; all others are nearer
        assert abs(card.params / card.paper_params - 1) < 0.065, card.name


def test_list_models_matches_shell_patterns() -> None:
    assert zoo.list_models("vit_mini*") == ["vit_mini_patch2", "vit_mini_patch4", "vit_mini_patch8"]
    assert zoo.list_models() == list(zoo.CARDS)


def test_a_list_serves_as_a_tuple() -> None:
    assert zoo.create("mlp", widths=[30]) == zoo.create("mlp", widths=(30,))  # a config read back from JSON


@pytest.mark.parametrize(
    ("name", "fields", "line"),
    [
        ("resnet19", {}, "unknown model 'resnet19': did you mean resnet"),
        ("resnet20", {"clases": 10}, "resnet20: unknown field 'clases': did you mean classes?"),
        ("resnet20", {"classes": 0}, "resnet: classes must be a positive integer, not 0"),
        ("resnet20", {"classes": True}, "resnet: classes must be a positive integer, not True"),
        ("resnet20", {"classes": 10.0}, "resnet: classes must be a positive integer, not 10.0"),
        ("resnet20", {"shortcut": "C"}, "resnet: unknown shortcut 'C': choose from A, B, none"),
        ("resnet20", {"widths": (16, 32)}, "resnet: widths must be 3 numbers, like depths, not (16, 32)"),
        ("resnet20", {"bottleneck": "no"}, "resnet: bottleneck must be True or False, not 'no'"),
        ("resnet20", {"depths": ()}, "resnet: depths must be one number per stage, at least one, not ()"),
        ("resnet20", {"widths": (32, 16, 64)}, "resnet: widths must be rising for shortcut A, not (32, 16, 64)"),
        ("mlp", {"activation": "rleu"}, "mlp: unknown activation 'rleu': did you mean relu"),
        ("plain20", {"drop_path": 0.5}, "resnet: drop_path must be 0 in a network without shortcuts, not 0.5"),
        ("mlp", {"dropout": -0.1}, "mlp: dropout must be at least 0 and below 1, not -0.1"),
        ("mlp", {"dropout": 1.0}, "mlp: dropout must be at least 0 and below 1, not 1.0"),
        ("mlp", {"widths": (300, -1)}, "mlp: widths must be a tuple of positive integers, not (300, -1)"),
        ("alexnet", {"towers": 3}, "alexnet: towers must be a divisor of 32, not 3"),
        ("vgg16", {"depths": ()}, "vgg: depths must be one number per stage, at least one, not ()"),
        ("vgg16", {"widths": (64, 128)}, "vgg: widths must be 5 numbers, like depths, not (64, 128)"),
        ("vgg_mini", {"kernel": 4}, "vgg: kernel must be odd, so that maps keep their size, not 4"),
        ("vit_tiny_patch16", {"heads": 5}, "vit: heads must be a divisor of width 192, not 5"),
        ("transformer_base", {"heads": 7}, "transformer: heads must be a divisor of width 512, not 7"),
        ("transformer_mini", {"norm": "prae"}, "transformer: unknown norm 'prae': did you mean pre"),
        ("transformer_mini", {"width": 5, "heads": 5}, "transformer: width must be even, for sines and cosines, not 5"),
        ("bert_mini", {"head": "clasify"}, "bert: unknown head 'clasify': did you mean classify"),
        ("gpt2", {"heads": 5}, "gpt: heads must be a divisor of width 768, not 5"),
        ("vit_tiny_patch16", {"width": 6, "positions": "sine"}, "vit: width must be a multiple of 4"),
    ],
)
def test_a_wrong_name_or_value_is_one_line(name: str, fields: dict, line: str) -> None:
    with pytest.raises(zoo.UserError) as error:
        zoo.create(name, **fields)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "shape", "line"),
    [
        ("lenet5", (1, 8, 8, 1), "lenet5 needs images of at least 16x16 pixels, not 8x8"),
        ("alexnet", (1, 32, 224, 3), "alexnet needs images of at least 64x64 pixels, not 32x224"),
        ("alexnet_one_tower", (1, 62, 63, 3), "alexnet_one_tower needs images of at least 63x63"),
        ("alexnet_cifar", (1, 7, 7, 3), "alexnet_cifar needs images of at least 8x8"),
        ("vgg16", (1, 31, 224, 3), "vgg needs images of at least 32x32 pixels, not 31x224"),
        ("vgg_mini", (1, 16, 7, 1), "vgg needs images of at least 8x8 pixels, not 16x7"),
        ("resnet20", (1, 64), "resnet takes images (batch, height, width, channels), not an array of shape (1, 64)"),
        ("vit_mini_patch4", (1, 30, 32, 3), "vit: patch 4 does not divide 30x32 pixels; use multiples of 4"),
    ],
)
def test_an_input_that_does_not_fit_is_one_line(name: str, shape: tuple[int, ...], line: str) -> None:
    with pytest.raises(zoo.UserError) as error:
        measure.param_count(zoo.create(name), {"x": (shape[1:], "float32")})
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("lenet5", 16), ("alexnet", 64), ("alexnet_one_tower", 63), ("alexnet_cifar", 8), ("vgg16", 32)),
        *(("vgg_mini", 8), ("resnet20", 1)),
    ],
)
def test_the_smallest_input_works(name: str, size: int) -> None:
    assert measure.param_count(zoo.create(name), {"x": ((size, size, 2), "float32")}) > 0


def test_import_is_light() -> None:
    program = (
        "import sys, jax, flax; before = set(sys.modules); import zoo; "
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['zoo']"


def test_the_old_name_of_differences_still_works() -> None:
    card = zoo.card("gpt_char")
    assert card.departs == card.differences != ""
    fields = {field.name: getattr(card, field.name) for field in dataclasses.fields(card)}
    old = {**fields, "departs": fields.pop("differences")}
    assert zoo.Card(**{name: value for name, value in old.items() if name != "differences"}) == card
    assert dataclasses.replace(card, differences="x").departs == "x"
