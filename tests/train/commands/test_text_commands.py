"""sample, translate, fill: what they print for small models with known habits, and one line for whatever is wrong."""

import io
import shutil
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import Array

import train.loop.run
from train.commands import fill, sample_text, text_inputs, translate
from train.commands.text_inputs import Opened
from train.config import Experiment, Language, Masked, Model, Text, Translate
from train.config.ways import resolve, way_of
from train.data.text import tokenizers
from train.inference.decode import GREEDY, Decoder, Sampling
from train.inference.text import around_masks, continue_rows
from train.loop.checkpoints import Checkpoints
from train.pictures import attention
from zoo.errors import UserError


class Cfg:
    context = 8

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cfg)


class Next(nn.Module):
    """A language model that counts: after token i comes i + 1, after the last the token 4. No parameters."""

    vocab: int
    cfg: Cfg = Cfg()

    def begin(self, batch: int, length: int) -> Array:
        assert length <= self.cfg.context
        return jnp.int32(0)

    def decode(self, tokens: Array, cache: Array) -> tuple[Array, Array]:
        following = jnp.where(tokens + 1 < self.vocab, tokens + 1, 4)
        return 50.0 * jax.nn.one_hot(following, self.vocab), cache + tokens.shape[1]


class Copy(nn.Module):
    """A translator that copies its source, with all attention on the token that it copies."""

    vocab: int

    def begin(self, batch: int, length: int, source: Array, source_mask: Array) -> dict[str, Array]:
        return {"source": jnp.where(source_mask, source, 0), "position": jnp.int32(0)}

    def decode(self, tokens: Array, cache: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        source = jnp.pad(cache["source"], ((0, 0), (0, 64)))
        read = jax.lax.dynamic_slice_in_dim(source, cache["position"], tokens.shape[1], 1)
        return 9.0 * jax.nn.one_hot(read, self.vocab), cache | {"position": cache["position"] + tokens.shape[1]}

    @nn.compact
    def __call__(self, source: Array, source_mask: Array, target: Array, *, train: bool) -> Array:
        Alignment(name="decoder")(jnp.eye(target.shape[1], source.shape[1])[None])
        return self.decode(target, self.begin(*target.shape, source, source_mask))[0]


class Alignment(nn.Module):
    def __call__(self, weights: Array) -> None:
        self.sow("intermediates", "weights", weights)


class Silent(Copy):
    """A translator without attention."""

    def __call__(self, source: Array, source_mask: Array, target: Array, *, train: bool) -> Array:
        return self.decode(target, self.begin(*target.shape, source, source_mask))[0]


class Guess(nn.Module):
    """A masked model that takes the token before a mask for the likeliest and the one after it for the next."""

    vocab: int

    def __call__(
        self, tokens: Array, mask: Array, segments: Array, positions: Array, *, train: bool
    ) -> tuple[Array, Array]:
        before = jnp.take_along_axis(tokens, positions - 1, axis=1)
        after = jnp.take_along_axis(tokens, positions + 1, axis=1)
        return jnp.log(
            0.7 * jax.nn.one_hot(before, self.vocab) + 0.3 * jax.nn.one_hot(after, self.vocab) + 1e-6
        ), jnp.zeros((len(tokens), 2))


CHAR = tokenizers.learn("char", ["abcdefgh \n"], 100)
WORDS = tokenizers.learn("wordpiece", ["the cat sat on the mat and the dog sat too"] * 9, 200)
OPENED = {
    "language": Opened(Next(CHAR.get_vocab_size()), {}, CHAR, 8),
    "translate": Opened(Copy(CHAR.get_vocab_size()), {}, CHAR, 10),
    "masked": Opened(Guess(WORDS.get_vocab_size()), {}, WORDS, 12),
}


@pytest.fixture(autouse=True)
def _no_runs(request, monkeypatch):
    if "runs" not in request.fixturenames:
        monkeypatch.setattr(text_inputs, "open_run", lambda path, task, config: OPENED[task])


def printed(capsys, command, *args: str) -> str:
    command(args)
    return capsys.readouterr().out


def test_sample_slides_over_a_text_longer_than_the_context(capsys):
    alphabet = "\n abcdefgh"
    out = printed(capsys, sample_text.sample_command, "run", "--prompt", "ab", "--length", "40")
    assert out == ("ab" + "cdefgh" + alphabet * 4)[:42] + "\n"


def test_sample_reads_the_end_of_a_long_prompt_and_says_so(capsys):
    sample_text.sample_command(["run", "--prompt", "aaaaaaaaaaaaagh\n", "--length", "3"])
    out, err = capsys.readouterr()
    assert out == "aaaaaaaaaaaaagh\n ab\n"
    assert err == "zoo: a prompt has 16 tokens: the model reads the last 8, its context\n"


def test_sample_draws_several_of_each_line(capsys, tmp_path):
    (tmp_path / "prompts").write_bytes("\ufeffa\r\n\r\nefg\n".encode())
    args = ("run", "--file", str(tmp_path / "prompts"), "--n", "2", "--length", "1", "--temperature", "0")
    out = printed(capsys, sample_text.sample_command, *args)
    assert out.rstrip("\n").split(f"\n{text_inputs.RULE}\n") == ["ab", "ab", "efgh", "efgh"]


def test_sample_without_a_prompt_begins_a_text(capsys):
    # The token [EOS], 3, ends one text; the next of this model begins with token 4, the newline.
    assert printed(capsys, sample_text.sample_command, "run", "--length", "3") == "\n a\n"


def test_samples_follow_their_seed_and_their_place():
    model, rows = OPENED["language"].model, [[5], [5]]
    go_on = partial(continue_rows, Decoder(model, {}), length=20, sampling=Sampling(temperature=100.0), context=8)
    both = go_on(rows, seed=0)
    assert both[0] != both[1]
    assert all(len(row) == 21 for row in both)
    assert go_on(rows[:1], seed=0) == both[:1]
    assert go_on(rows, seed=0) == both != go_on(rows, seed=1)


def test_a_row_ends_before_its_stop_in_whatever_window_that_comes():
    model = OPENED["language"].model
    go_on = partial(continue_rows, Decoder(model, {}), sampling=GREEDY, seed=0, context=8)
    assert go_on([[4], [7, 8, 9]], length=50, stop=12) == [[4, 5, 6, 7, 8, 9, 10, 11], [7, 8, 9, 10, 11]]
    assert go_on([[4], [7, 8, 9]], length=50, stop=13) == [list(range(4, 13)), list(range(7, 13))]
    assert go_on([[4], [7]], length=3, stop=9) == [[4, 5, 6, 7], [7, 8]]


def test_translate_gives_a_line_for_each_line(capsys, monkeypatch):
    lines = ["abc", "", "h g f"] + ["cab"] * 40
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
    out = printed(capsys, translate.translate_command, "run", "--file", "-", "--beams", "2")
    assert out.split("\n") == [*lines, ""]


def test_translate_cuts_and_says_so(capsys):
    translate.translate_command(["run", "abcdefghabcdefgh", "--beams", "1"])
    out, err = capsys.readouterr()
    assert out == "abcdefgha\n"
    assert err == "zoo: text 1 has 16 tokens: cut to the first 9, which is all that the model reads\n"


def test_translate_draws_its_alignment(capsys, tmp_path, monkeypatch):
    drawn = []
    real = attention.draw_attention
    monkeypatch.setattr(attention, "draw_attention", lambda *args: drawn.append(args) or real(*args))
    translate.translate_command(["run", "ab c", "--picture", str(tmp_path / "map.png")])
    (maps, rows, columns, title), = drawn  # fmt: skip
    assert (rows, columns, title) == (["a", "b", " ", "c", "[EOS]"], ["a", "b", " ", "c", "[EOS]"], "ab c")
    np.testing.assert_array_equal(maps["decoder"], np.eye(5))
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_a_model_without_attention_has_nothing_to_draw():
    with pytest.raises(UserError, match="Silent has no attention to its source"):
        attention.draw_alignment(Silent(13), {}, CHAR, [5, 3], [2, 5, 3])


def test_fill_lists_guesses_for_each_mask(capsys):
    out = printed(capsys, fill.fill_command, "run", "the [MASK] cat sat [MASK] mat", "--top", "2")
    assert [line.split() for line in out.splitlines()] == [
        ["the", "[MASK]", "cat", "sat", "[MASK]", "mat"],
        ["1", "70.0", "%", "the"],
        ["1", "30.0", "%", "cat"],
        ["2", "70.0", "%", "sat"],
        ["2", "30.0", "%", "mat"],
    ]


def test_fill_reads_what_is_around_the_mask(capsys):
    fill.fill_command(["run", "the cat sat on the mat and the [MASK] dog sat too", "--top", "1"])
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split() == ["1", "70.0", "%", "the"]
    assert err == "zoo: text 1 has 12 tokens: the model reads the 10 around [MASK], its context\n"


def test_windows_around_masks():
    mask = 0
    assert around_masks([9, mask, 9], 5, mask) == [9, mask, 9]
    assert around_masks([mask, *range(1, 9)], 3, mask) == [mask, 1, 2]
    assert around_masks([*range(1, 9), mask], 3, mask) == [7, 8, mask]
    assert around_masks([1, 2, 3, mask, 4, mask, 5, 6], 3, mask) == [mask, 4, mask]
    for room in range(3, 9):
        assert around_masks([1, 2, 3, mask, 4, mask, 5, 6], room, mask).count(mask) == 2
    with pytest.raises(UserError, match=r"the \[MASK\]s are 2 tokens apart, and the model reads 2 at once"):
        around_masks([1, mask, 4, mask, 5], 2, mask)


COMMANDS = {
    "sample": sample_text.sample_command,
    "translate": translate.translate_command,
    "fill": fill.fill_command,
}
EITHER = "give one text, or --file FILE for one a line"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sample run --prompt aé€", "the text has characters that are not in the vocabulary: 'é', '€'"),
        ("sample run --prompt a --file x", EITHER),
        ("sample run --file none.txt", "cannot read none.txt: No such file or directory"),
        ("sample run --file .", "cannot read .: Is a directory"),
        ("sample run --file binary", "binary: line 2 is not UTF-8 (byte 0xff)"),
        ("sample run --file empty", "empty is empty"),
        ("sample run --prompt \udcff", "the text: line 1 is not UTF-8 (byte 0xff)"),
        ("sample run --n 0", "--n must be at least 1 and below 2^32, not 0"),
        ("sample run --seed -1", "--seed must be at least 0 and below 2^32, not -1"),
        ("sample run --length 0", "--length must be at least 1"),
        ("sample run --top-p 2", "top_p must be above 0 and at most 1, not 2.0"),
        ("sample run --top-k 0", "top_k must be at least 1, not 0"),
        ("sample run --temperature -1", "temperature must be 0 (greedy) or at least 0.001, not -1.0"),
        ("sample run --temperature warm", "--temperature must be a number, not 'warm'"),
        ("sample run --top-m 3", "did you mean"),
        ("sample", "RUN"),
        ("translate run", EITHER),
        ("translate run a --beams 0", "--beams must be at least 1"),
        ("translate run a --length-penalty -1", "--length-penalty must be at least 0"),
        ("translate run --file two --picture x.png", "--picture draws one sentence, not 2"),
        ("translate run ab --picture none/x.png", "cannot write none/x.png: No such file or directory"),
        ("fill run cat", "text 1 has no [MASK]: write it where a word is to be guessed"),
        ("fill run", EITHER),
        ("fill run [MASK] --top 0", "--top must be at least 1"),
    ],
)
def test_bad_input_is_one_line(line, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary").write_bytes(b"a\nb\xff\n")
    (tmp_path / "empty").write_bytes(b"\n \n")
    (tmp_path / "two").write_bytes(b"a\nb\n")
    command, *args = line.split()
    with pytest.raises(UserError) as error:
        COMMANDS[command](args)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("command", ["sample", "translate", "fill"])
@pytest.mark.parametrize("file", ["large", "-"])
def test_a_file_is_no_larger_than_memory_allows(command, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("train.core.machine.host_memory_free", lambda: 8 << 20)
    content = b"[MASK] cat\n" * 100_000
    (tmp_path / "large").write_bytes(content)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    name = "standard input" if file == "-" else file
    with pytest.raises(
        UserError, match=f"^{name} holds more than 0.00098 GiB of text, which is 1/8 of the free memory"
    ):
        COMMANDS[command](["run", "--file", file])


@pytest.mark.parametrize(("command", "whose"), [("sample", "the text"), ("translate", "text 2"), ("fill", "text 2")])
def test_a_line_is_no_longer_than_memory_allows(command, whose, tmp_path, monkeypatch):
    monkeypatch.setattr("train.core.machine.host_memory_free", lambda: 600 * 1000)
    (tmp_path / "long").write_text("ab\n" * (command != "fill") + "[MASK]\n" * (command == "fill") + "a" * 1001 + "\n")
    with pytest.raises(
        UserError, match=f"^{whose} has 1,001 characters, and there is memory to encode 1,000: divide it"
    ):
        COMMANDS[command](["run", "--file", str(tmp_path / "long")])


def test_characters_that_a_translator_lacks_are_said_and_read_as_unknown(capsys):
    translate.translate_command(["run", "aéb", "--beams", "1"])
    out, err = capsys.readouterr()
    assert out == "ab\n"
    assert err == "zoo: text 1 has characters that are not in the vocabulary: 'é'\n"


def test_a_prompt_of_words_that_word_pieces_lack_is_an_error(monkeypatch):
    monkeypatch.setitem(OPENED, "language", Opened(Next(WORDS.get_vocab_size()), {}, WORDS, 8))
    with pytest.raises(UserError, match="the prompt 'the ☃' has words that are not in the vocabulary"):
        sample_text.sample_command(["run", "--prompt", "the ☃"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A run of each task with a checkpoint of equal parameters, made without data or compilation."""
    folder = tmp_path_factory.mktemp("runs")
    words = tokenizers.learn("wordpiece", ["the cat sat on the mat"], 60)
    gpt = {"context": 16, "width": 16, "depth": 1, "heads": 2, "dropout": 0.0}
    small = {"width": 16, "depth": 1, "heads": 2, "hidden": 16}
    bert = {"context": 16, "width": 16, "depth": 1, "heads": 2, "dropout": 0.0}
    kinds = {
        "language": (Model("gpt_char_mini", gpt), Language(), CHAR),
        "translate": (Model("transformer_mini", small), Translate(), CHAR),
        "masked": (Model("bert_mini", bert), Masked(), words),
        "one_way": (Model("bert_mini", bert | {"causal": True}), Masked(left_to_right=True), words),
    }
    made = {}
    for name, (model, task, tokenizer) in kinds.items():
        experiment = Experiment(model, Text("text:gone.txt", batch=1, length=16), task=task)
        run = train.loop.run.create(name, experiment, folder, tokenizer)
        learning = resolve(way_of(task).blueprint)(experiment, tokenizer).task
        checkpoints = Checkpoints(run.checkpoints)
        shapes = jax.eval_shape(learning.init, jax.random.key(0))
        state = jax.tree.map(lambda leaf: jnp.asarray(np.full(leaf.shape, 0.01, leaf.dtype)), shapes)
        checkpoints.save(state, 1, 0.0, tokenizer=tokenizers.fingerprint(tokenizer))
        checkpoints.close()
        made[name] = run.path
    return made


def test_runs_write_without_their_data(runs, capsys, tmp_path):
    sample_text.sample_command([str(runs["language"]), "--prompt", "ab", "--length", "30", "--n", "2"])
    first, second = capsys.readouterr().out.removesuffix("\n").split(f"\n{text_inputs.RULE}\n")
    assert first[:2] == second[:2] == "ab"
    assert first != second
    picture = tmp_path / "map.png"
    translate.translate_command([str(runs["translate"]), "ab c", "--beams", "2", "--picture", str(picture)])
    assert capsys.readouterr().out.count("\n") >= 1
    assert picture.exists()
    fill.fill_command([str(runs["masked"]), "the [MASK] sat", "--top", "3"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["the", "1", "1", "1"]


def test_a_run_of_another_task_names_the_command_that_fits(runs, capsys):
    args = [str(runs["masked"]), "--prompt", "a"]
    with pytest.raises(UserError, match="is of the task 'masked', not 'language': use zoo fill"):
        sample_text.sample_command(args)
    with pytest.raises(UserError, match="is of the task 'language', not 'translate': use zoo sample"):
        translate.translate_command([str(runs["language"]), "a"])
    with pytest.raises(UserError, match=r"reads from left to right and has never seen a \[MASK\]: zoo fill cannot"):
        fill.fill_command([str(runs["one_way"]), "the [MASK]"])


def test_a_tokenizer_of_another_run_does_not_fit_the_checkpoint(runs, tmp_path):
    other = shutil.copytree(runs["language"], tmp_path / "run")
    shutil.copy(runs["masked"] / "tokenizer.json", other / "tokenizer.json")
    with pytest.raises(UserError, match=r"tokenizer.json is not the one that step \d+ was trained with"):
        sample_text.sample_command([str(other), "--prompt", "cat"])
    (other / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is not a tokenizer"):
        sample_text.sample_command([str(other), "--prompt", "cat"])
