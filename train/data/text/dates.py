"""`dates/SRC-DST`: dates, times, numbers, amounts of money and measurements in two languages, formatted by Babel.

The formats are from Unicode's Common Locale Data Repository, which Babel includes. Every target is a function of its
source: a date has its year, month and day, and its weekday in both languages or in neither; a source with two different
targets is left out. No-break spaces become spaces and direction marks are removed, so that the text can be typed.
`dates/SRC-DST/N` has one to N values per line: the same content in sentences of different lengths.
"""

import datetime
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from train.data.text.dataset import Corpus, Examples
from zoo.errors import UserError, unknown

COUNTS = {"date": 20_000, "time": 8_000, "number": 6_000, "money": 6_000, "measure": 6_000}
"""Number of values sampled of each kind. Fewer remain, since duplicates are removed."""
FIRST = datetime.date(1900, 1, 1).toordinal()
LAST = datetime.date(2099, 12, 31).toordinal()
MONEY = ("USD", "EUR", "GBP", "JPY", "KRW", "CNY", "INR", "CHF", "BRL", "MXN")
MEASURES = (
    *("length-kilometer", "length-meter", "length-centimeter", "mass-kilogram", "mass-gram", "volume-liter"),
    *("duration-day", "duration-hour", "duration-minute", "temperature-celsius"),
)
PLAIN = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009", " ") | dict.fromkeys("\u200e\u200f\u061c"))
SEPARATOR, MOST = "; ", 9
"""The separator of the values in a line, and the largest number of them."""
HELD_OUT = 0.05
"""Share of the pairs in the validation split, and also in the test split."""


def dates(name: str) -> Corpus:
    """Return fixed splits train (90 %), validation and test of 30,000 to 40,000 pairs, for a name like `dates/en-ko`.

    With `dates/en-ko/3` the lines of each split have one, two and three pairs in turn. Raises UserError for an unknown
    language and suggests similar ones.
    """
    import babel
    from babel import Locale, localedata

    languages, _, most = name.removeprefix("dates").removeprefix("/").partition("/")
    source, _, target = languages.partition("-")
    if not source or not target:
        raise UserError(f"{name}: two languages are needed, as in dates/en-ko")
    if most and not (most.isdecimal() and 1 <= int(most) <= MOST):
        raise UserError(f"{name}: a line has 1 to {MOST} values, as in dates/en-ko/3, not {most!r}")
    known = [code for code in localedata.locale_identifiers() if code != "root"]
    for language in (source, target):
        if language not in known:
            by_name = {english.lower(): code for code, english in Locale("en").languages.items() if code in known}
            if code := by_name.get(language.lower()):
                raise UserError(f"unknown language in {name}: {language} is written {code}")
            raise unknown(f"language in {name}", language, [code for code in known if "_" not in code])
    if source == target:
        raise UserError(f"{name}: source and target are the same language")
    sources, targets = zip(*_pairs(source, target), strict=True)
    order = np.argsort(np.random.PCG64(1).random_raw(len(sources)), kind="stable")
    ends = [round(len(order) * (1 - 2 * HELD_OUT)), round(len(order) * (1 - HELD_OUT))]
    parts = zip(("train", "validation", "test"), np.split(order, ends), strict=True)
    every = Examples(sources, targets)
    splits = {part: _lines(every[indices], int(most or 1)) for part, indices in parts}
    return Corpus(name, f"babel {babel.__version__}", splits, languages=(source, target))


def _lines(examples: Examples, most: int) -> Examples:
    """Join pairs to lines of one, two, ... `most` pairs, then of one again. Each pair is in one line."""
    counts = np.resize(np.arange(1, most + 1), len(examples))
    ends = np.cumsum(counts)
    ends = ends[: np.searchsorted(ends, len(examples), "right")]  # pairs that do not fill the last line are left out
    spans = [slice(start, end) for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]

    def joined(side: Sequence[str]) -> list[str]:
        return [SEPARATOR.join(side[span]) for span in spans]

    assert examples.seconds is not None  # they are pairs
    return Examples(joined(examples.texts), joined(examples.seconds))


@functools.lru_cache(maxsize=2)
def _pairs(source: str, target: str) -> tuple[tuple[str, str], ...]:
    """Return distinct sources, each with its only target."""
    found: dict[str, str | None] = {}
    for ours, theirs in zip(_formatted(source, target), _formatted(target, source), strict=True):
        ours, theirs = ours.translate(PLAIN).strip(), theirs.translate(PLAIN).strip()
        if ours and theirs:
            found[ours] = theirs if found.get(ours, theirs) == theirs else None
    return tuple((ours, theirs) for ours, theirs in found.items() if theirs is not None)


def _formatted(language: str, other: str) -> Iterator[str]:
    """Yield the sampled values in `language`; "" for a unit that is missing in one of the two languages."""
    from babel import Locale
    from babel.dates import format_date, format_time
    from babel.numbers import format_currency, format_decimal
    from babel.units import format_unit

    locale, two = Locale.parse(language), (language, other)
    # "E" and "c" are the weekday. A translation should not have to compute it from the date.
    weekdays = all({"E", "c"} & set(Locale.parse(one).date_formats["full"].pattern) for one in two)
    measures = {unit for unit in MEASURES if all(unit not in format_unit(2, unit, locale=one) for one in two)}
    raw = {kind: np.random.PCG64(seed).random_raw(count) for seed, (kind, count) in enumerate(COUNTS.items())}
    for value in raw["date"].tolist():
        day = datetime.date.fromordinal(FIRST + value % (LAST - FIRST + 1))
        yield format_date(day, "full" if weekdays else "long", locale=locale)
    for value in raw["time"].tolist():
        minutes, second = divmod(value % 86_400, 60)
        hour, minute = divmod(minutes, 60)
        yield format_time(datetime.time(hour, minute, second), "medium", locale=locale)
    for value in raw["number"].tolist():
        yield format_decimal(_amount(value, 6), locale=locale)
    for value in raw["money"].tolist():
        currency = MONEY[value % len(MONEY)]
        yield format_currency(_amount(value // len(MONEY), 4), currency, locale=locale, format_type="name")
    for value in raw["measure"].tolist():
        unit = MEASURES[value % len(MEASURES)]
        yield format_unit(value // len(MEASURES) % 1_000, unit, locale=locale) if unit in measures else ""


def _amount(value: int, digits: int) -> float:
    """Return a number of 1 to `digits` digits before the point, uniformly, and 0 to 2 digits after it."""
    value, places = divmod(value, 3)
    value, length = divmod(value, digits)
    return value % 10 ** (length + 1 + places) / 10**places if places else value % 10 ** (length + 1)
