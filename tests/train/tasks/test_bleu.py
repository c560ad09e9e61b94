"""BLEU counts words, and the target language decides what a word is."""

import dataclasses
import math
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from train.config import Text, Translate
from train.data.text import catalog, dates, tokenizers
from train.tasks.text import samples

REFERENCES = [
    "我今天早上去图书馆借了两本书",
    "他们昨天晚上在公园里散步",
    "这个城市的冬天非常寒冷",
    "老师让学生们安静地看书",
    "她的弟弟喜欢在河边钓鱼",
]
TRANSLATIONS = [  # one character of each line is wrong
    "我今天早上去图书馆借了三本书",
    "他们昨天晚上在公园里跑步",
    "这个城市的夏天非常寒冷",
    "老师让学生们安静地写书",
    "她的弟弟喜欢在海边钓鱼",
]


def by_hand() -> float:
    """BLEU of the translations over characters (Papineni et al. 2002): they are as long as the references."""
    logs = []
    for n in range(1, 5):
        pairs = [
            [Counter(line[i : i + n] for i in range(len(line) - n + 1)) for line in both]
            for both in zip(REFERENCES, TRANSLATIONS, strict=True)
        ]
        right = sum((reference & translation).total() for reference, translation in pairs)
        logs.append(math.log(right / sum(translation.total() for _, translation in pairs)))
    return 100 * math.exp(sum(logs) / 4)


@dataclasses.dataclass(frozen=True)
class Translator:
    """A Setup of which only the translations matter."""

    dataset: Any
    model: Any = None
    evaluator: Any = lambda split, mesh: lambda state: {"count": 5}
    show: Any = None
    notes: Any = None


@pytest.mark.parametrize(
    ("language", "chosen", "words", "bleu"),
    [("zh", None, "zh", 77.52), ("ja", None, "char", 77.52), (None, None, "13a", 0.0), ("zh", "13a", "13a", 0.0)],
)
def test_bleu_of_chinese_counts_characters(
    language: str | None, chosen: Any, words: str, bleu: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = tokenizers.learn("char", REFERENCES + TRANSLATIONS, 100)
    rows = [tokenizers.encode(tokenizer, line) for line in TRANSLATIONS]
    monkeypatch.setattr(samples.write, "translate_rows", lambda *_: rows)
    monkeypatch.setattr(samples, "_variables", lambda state: {})
    monkeypatch.setattr(samples, "Decoder", lambda *_: None)
    test = SimpleNamespace(texts=(REFERENCES, REFERENCES))
    setup: Any = Translator(SimpleNamespace(test=test, tokenizer=tokenizer, target_language=language))
    judged = samples.with_translations(setup, Translate(bleu_tokenizer=chosen), 20)
    evaluate: Any = judged.evaluator("test", None)
    assert evaluate(None)["bleu"] == pytest.approx(bleu, abs=0.005)
    assert f"|tok:{words}|" in judged.notes["bleu"]
    assert by_hand() == pytest.approx(77.52, abs=0.005)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *[
            ("zh", "zh"),
            ("zh-TW", "zh"),
            ("zh_Hant", "zh"),
            ("cmn", "zh"),
            ("yue", "zh"),
            ("ja", "char"),
            ("kor", "char"),
        ],
        *[("ko-KR", "char"), ("de", "13a"), ("en", "13a"), ("zha", "13a"), ("", "13a"), (None, "13a")],
    ],
)
def test_the_language_chooses_the_tokenizer(code: str | None, expected: str) -> None:
    assert samples.bleu_tokenizer(code) == expected


@pytest.mark.parametrize(
    ("name", "swap", "language"),
    [("dates/en-zh", False, "zh"), ("dates/en-ko/3", False, "ko"), ("dates/en-ja", True, "en")],
)
def test_dates_know_their_target_language(
    name: str, swap: bool, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tuple((f"{i} a", f"{i} b") for i in range(300))
    monkeypatch.setattr(dates, "_pairs", lambda source, target: few)
    data = Text(name, tokenizer="char", length=9, swap=swap)
    assert catalog._load(data, "pairs", None).target_language == language  # `load` would keep the few pairs


KOREAN = ["1970년 11월 6일 (금)", "오후 6:30, 서울", "2026년 1월 3일에 만나요"]


@pytest.mark.parametrize(("kind", "lower"), [("wordpiece", False), ("wordpiece", True), ("char", False)])
def test_a_perfect_translator_scores_all_there_is(kind: str, lower: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With WordPiece it had an exact match of 0.585 and a BLEU of 77, and in lower case 0.013 and 32.7."""
    references = ["Café Zürich, at 6:30 PM.", *KOREAN] * 2
    references = [text.lower() for text in references] if lower else references
    tokenizer = tokenizers.learn(kind, references, 400, lower)
    rows = tokenizers.encode_many(tokenizer, references)
    written = np.split(rows.flat, np.cumsum(rows.lengths)[:-1])
    monkeypatch.setattr(samples.write, "translate_rows", lambda *_: written)
    monkeypatch.setattr(samples, "_variables", lambda state: {})
    monkeypatch.setattr(samples, "Decoder", lambda *_: None)
    test = SimpleNamespace(texts=(references, references))
    setup: Any = Translator(SimpleNamespace(test=test, tokenizer=tokenizer, target_language="ko"))
    judged = samples.with_translations(setup, Translate(), 40)
    evaluate: Any = judged.evaluator("test", None)
    found = evaluate(None)
    assert (found["exact_match"], found["bleu"]) == (1, pytest.approx(100))
    assert ("which score" in judged.notes["bleu"]) == (kind == "wordpiece")


def test_what_the_vocabulary_lacks_still_counts_as_an_error() -> None:
    tokenizer = tokenizers.learn("char", ["abc"], 10)
    assert tokenizers.as_written(tokenizer, "abxc") == "ab[UNK]c"
    assert tokenizers.decode(tokenizer, tokenizers.encode(tokenizer, "abxc", strict=False)) == "abc"
