"""The museum's page as a file: complete, closed, escaped, in two languages."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from runs_by_hand import CARDS, EVIL, NEW, OLD, card, claim, line, run_folder
from small_grid import NETS, RULES, result

from train import cli
from train.commands import timeline
from train.config import files
from train.history.grids import results as grid_results
from train.history.timeline import exhibits, findings, page, words
from train.history.timeline.axis import by_year, overview
from train.history.timeline.page import write_page
from train.history.timeline.rooms import furnish
from zoo.cards import Paper
from zoo.errors import UserError

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Elements and attributes of a page, its text, the text of its data element, and whether elements nest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data, self.text, self._inside, self._open = "", "", "", []
        self.feed(path.read_text(encoding="utf-8"))
        assert not [tag for tag in self._open if tag not in ("p", "li")], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if dict(attrs).get("id") != "data" else "data"
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""
        assert self._open, tag
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data
        elif self._inside not in ("script", "style"):
            self.text += data

    def of(self, name: str) -> list[str]:
        """Every value of an attribute."""
        return [attrs[name] for _, attrs in self.elements if attrs.get(name) is not None]


def write(tmp_path: Path, runs: list[Path], claims: list[dict], cards: dict = CARDS, **options: str) -> Page:
    shown = [exhibits.of_run(run) for run in runs]
    found = [findings.read(one, "test") for one in claims]
    return Page(write_page(shown, found, tmp_path / "out", cards=cards, **options))


def test_page_stands_alone(tmp_path: Path) -> None:
    runs = [
        run_folder(tmp_path, name, 0.9 + 0.01 * i, lines=line(0, 0.1), task="classify") for i, name in enumerate(CARDS)
    ]
    made = write(tmp_path, runs, [claim("depth", 2015, "does not hold")])
    assert (tmp_path / "out" / "index.html").stat().st_size < 10e6
    assert not made.of("src")
    assert {attrs["href"] for tag, attrs in made.elements if tag == "link"} == {"data:,"}
    outward = {
        href
        for tag, attrs in made.elements
        if tag == "a" and not (href := attrs["href"]).startswith("#") and "download" not in attrs
    }
    assert {OLD.url, NEW.url, "https://arxiv.org/abs/1512.03385"} <= outward
    assert all(href.startswith("https://") for href in outward)
    for said in ("The idea of plain20.", "zoo train digits_resnet20", "jax 0.10.2", "does not hold", "It is small.",
                 "+0.25 nats (0.2 to 0.3)", "Best: resnet20, 92.00 %.", "Same data, same budget: 600 "):  # fmt: skip
        assert said in made.text
    assert made.of("lang")[0] == "en"
    ids = made.of("id")
    assert len(ids) == len(set(ids))
    for target in made.of("data-room"):
        assert target in ids


def test_a_verdict_says_its_size_its_parts_and_its_age(tmp_path: Path) -> None:
    facts = {"parts": [2, 3], "smaller": "8 nets for 9", "varies": ["test set"], "pilots": "by hand", "design": "abc"}
    made = write(tmp_path, [], [claim("depth", 2015, "too small to matter", **facts)])
    for said in ("too small to matter at this size", "2 of 3 parts hold; the first one decides.", "8 nets for 9",
                 "test set", "by hand", "abc"):  # fmt: skip
        assert said in made.text
    assert "earlier design" not in made.text
    undecided = claim("width", 2015, "undecided", smaller="8 nets for 9")
    undecided["effects"][0]["why"] = "2 of 12 seeds diverged"
    found = [findings.read(undecided, "test"), findings.read(claim("old", 2015, "does not hold"), "test")]
    found = [dataclasses.replace(finding, earlier=True) for finding in found]
    made = Page(write_page([], found, tmp_path / "out", cards=CARDS))
    assert "It is undecided since 2 of 12 seeds diverged." in made.text
    assert "This result is of an earlier design of the claim: zoo claim old --record renews it." in made.text
    assert "undecided at this size" not in made.text
    facts = {
        "commit": "0123456789abcdef",
        "clean": False,
        "code": {"zoo/mlp.py": "x"},
        "data": {"digits": ["d1", "d2"]},
    }
    control = claim("new", 2015, "undecided")["effects"][0]
    facts |= {"sham": control, "sabotage": control}
    found = findings.read(claim("new", 2015, machine="Linux riscv64", **facts), "test")
    made = Page(write_page([], [dataclasses.replace(found, changed="zoo/mlp.py")], tmp_path / "new", cards=CARDS))
    for said in ("The code of this result has changed since (zoo/mlp.py): zoo claim new --record renews it.",
                 "0123456789ab (with changes)", "digits d1 d2", "cpu, 2 cores, Linux riscv64",
                 "shallow against itself with other seeds: +0.25 nats (0.2 to 0.3), undecided",
                 "deep, shallow: +0.25 nats (0.2 to 0.3), undecided; the effect is lost"):  # fmt: skip
        assert said in made.text


def test_every_landmark_is_on_the_axis_and_has_a_room(tmp_path: Path) -> None:
    made = write(tmp_path, [], [claim("depth", 2015)])
    marks = [
        attrs["data-room"]
        for tag, attrs in made.elements
        if "mark" in (attrs.get("class") or "").split() and tag == "button"
    ]
    rooms = [attrs["id"] for tag, attrs in made.elements if tag == "dialog" and attrs["id"] != "tour"]
    assert sorted(marks) == sorted(rooms)
    assert {  # ResNet's paper is told by the first of its cards
        "model-perceptron",
        "model-plain20",
        "optimizer-adam",
        "loss-nt_xent",
        "activation-gelu",
        "claim-depth",
    } <= set(rooms)
    assert "No two runs on the same data" in made.text


def test_page_survives_hostile_names_and_missing_figures(tmp_path: Path) -> None:
    hostile = card(EVIL, 2020, Paper(EVIL, EVIL, EVIL, "2010.11929"))
    evil = {"device": EVIL, "versions": {EVIL: EVIL}, "name": EVIL, "task": "classify", "notes": {EVIL: EVIL}}
    runs = [run_folder(tmp_path, EVIL, 0.9, lines=line(0, None), **evil)]
    runs += [run_folder(tmp_path, "nobody's", float("nan"), params=None, flops="NaN", steps=None, task="classify")]
    (runs[0] / "samples").mkdir()
    (runs[0] / "samples" / "samples.txt").write_text(EVIL)
    bad = claim(EVIL, 2015, reason=EVIL, link="javascript:alert(1)", models=[EVIL], budget=EVIL)
    bad["plot"]["series"][0] |= {"arm": EVIL, "mean": [float("nan"), 1, 2]}
    made = write(tmp_path, runs, [bad], CARDS | {EVIL: hostile})
    scripts = [attrs for tag, attrs in made.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {"type": "text/plain", "id": "plotly"}] + [{}] * len(
        page.SCRIPTS
    )
    data = json.loads(made.data, parse_constant=pytest.fail)
    assert [row["label"] for row in data["comparisons"][0]["entries"]] == [EVIL, "nobody's"]
    assert data["claims"][EVIL]["series"][0]["mean"] == [None, 1, 2]
    assert EVIL in made.text
    assert not [href for href in made.of("href") if href.startswith("javascript")]
    assert all(re.fullmatch(r"[\w.-]+", value) for value in made.of("id"))


def test_of_a_config_what_ran_here_goes_before_what_is_recorded(tmp_path: Path) -> None:
    run = run_folder(tmp_path, "resnet20", 0.9, task="classify")
    here = exhibits.of_run(run)
    exhibits.write(here, tmp_path / "kept")
    (recorded,) = exhibits.read_all(tmp_path / "kept")
    text = Page(write_page([here, recorded], [], tmp_path / "out", cards=CARDS)).text
    assert "Run on this machine" in text
    assert "Recorded with the project" not in text
    text = Page(write_page([recorded], [], tmp_path / "out", cards=CARDS)).text
    assert "Recorded with the project cpu, 2 cores, 2026-11-22" in " ".join(text.split())


def test_all_runs_of_a_config_that_are_given_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two of them only the first was, in silence."""
    workdir = tmp_path / "runs"
    monkeypatch.setattr(exhibits, "FOLDER", tmp_path / "none")
    monkeypatch.setattr(timeline.results, "FILE", tmp_path / "none.json")
    usual = dataclasses.asdict(files.load("digits_mlp"))
    given = [run_folder(tmp_path / "given", "mlp", value) for value in (0.91, 0.73)]
    other = run_folder(workdir, "mlp", 0.55)  # of the same config, and not given
    for run in (*given, other):
        (run / "config.json").write_text(json.dumps(usual))
    assert cli.run(["timeline", *map(str, given), "--no-line", "--claims", "0s", "--workdir", str(workdir)]) == 0
    text = Page(workdir / "timeline" / "index.html").text
    assert "91.00 %" in text
    assert "73.00 %" in text
    assert "55.00 %" not in text


def test_languages_have_the_same_sentences() -> None:
    tables = {lang: words.load(lang).table for lang in words.languages()}
    assert list(tables)[:2] == ["en", "ko"]
    for lang, table in tables.items():
        assert table.keys() == tables["en"].keys(), lang
        for key, said in table.items():
            assert sorted(re.findall(r"{\w+}", said)) == sorted(re.findall(r"{\w+}", tables["en"][key])), (lang, key)
            assert said.strip()
    same = [key for key in tables["en"] if tables["en"][key] == tables["ko"][key]]
    assert set(same) <= {"flops", "on_device", "missing"}


def test_no_sentence_is_left_over_and_none_is_in_the_templates() -> None:
    web = "".join(file.read_text() for file in page.WEB.iterdir())
    code = "".join(file.read_text() for file in page.WEB.parent.glob("*.py"))
    built = (
        "js_",
        "lane_",
        "kind_",
        "picture_",
        "verdict_",
        "group_",
        "axis_",
        "unit_",
        "origin_",
        "expected_",
        "claim_setting_",
        "story_",
        "descent_",
        *("title_", "forest_", "set_", "term_"),
    )
    for key in words.load("en").table:
        assert key.startswith(built) or f'"{key}"' in web + code, key
    for template in page.WEB.glob("*.j2"):
        bare = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", template.read_text(), flags=re.DOTALL)
        bare = re.sub(r"<style>.*?</style>|<[^>]*>", "", bare, flags=re.DOTALL)
        assert not re.findall(r"[A-Za-z]{3,}", bare), template.name


def test_korean_page_keeps_papers_in_english(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path, name, 0.9, task="classify") for name in CARDS]
    made = write(tmp_path, runs, [claim("depth", 2015)], lang="ko")
    assert made.of("lang")[0] == "ko"
    assert "각 아이디어가 가져온 것" in made.text
    assert "The idea of resnet20." in made.text
    assert ("span", {"lang": "en"}) in made.elements
    with pytest.raises(UserError, match="unknown language 'kr': did you mean ko"):
        write_page([], [], tmp_path / "out", cards=CARDS, lang="kr")


def test_the_axis_is_in_order_and_dots_keep_apart() -> None:
    found = furnish(CARDS, [], [findings.read(claim("depth", 2015), "test")])
    years = by_year(found, str)
    assert [year.year for year in years] == sorted({room.year for room in found})
    assert {year.year for year in years if year.outside} == {1805, 1951, 2023, 2024}
    view = overview(found, "before", "after")
    assert len(view.dots) == len(found)
    places = [(dot.x, dot.y) for dot in view.dots]
    assert len(set(places)) == len(places)
    assert all(0 < x < view.width and 0 < y < view.base for x, y in places)
    at = {dot.title: dot.x for dot in view.dots}
    assert at["relu"] - at["Perceptron"] == pytest.approx(52 * 18)  # 2010 and 1958: true to scale


def test_command_gathers_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = {}

    def record(
        shown: list, found: list, folder: Path, *, grids: list, nets: list, traces: list, **options: str
    ) -> Path:
        seen.update(shown=[e.name for e in shown], claims={f.name: f.recorded for f in found}, **options)
        seen["grids"] = {grid.name: grid.recorded for grid in grids}
        seen["nets"] = [net["name"] for net in nets if net["ours"]][:3]
        seen["traces"] = traces
        return folder / "index.html"

    monkeypatch.setattr("train.history.timeline.page.write_page", record)
    monkeypatch.setattr(exhibits, "FOLDER", tmp_path / "kept")
    monkeypatch.setattr(timeline.results, "FILE", tmp_path / "claims.json")
    exhibits.write(exhibits.of_run(run_folder(tmp_path / "a", "mlp", 0.9, name="kept_one")), tmp_path / "kept")
    (tmp_path / "claims.json").write_text(json.dumps({"claims": [claim("depth", 2015), claim("width", 1989)]}))
    kept, own = (
        {**result({f"line/{rule.name}": [0.5, 0.6] for rule in RULES}, rows=NETS[:1]), "name": name}
        for name in ("kept", "own")
    )
    (tmp_path / "grids.json").write_text(json.dumps({"grids": [kept]}))
    monkeypatch.setattr(grid_results, "FILE", tmp_path / "grids.json")
    workdir = tmp_path / "runs"
    workdir.mkdir()
    run_folder(workdir, "resnet20", 0.9, name="here")
    (workdir / "grids" / "own").mkdir(parents=True)
    (workdir / "grids" / "own" / "grid.json").write_text(json.dumps(own))
    (workdir / "claims" / "depth").mkdir(parents=True)
    (workdir / "claims" / "depth" / "result.json").write_text(json.dumps(claim("depth", 2015, "undecided")))
    assert cli.run(["timeline", "--no-line", "--lang", "ko", "--workdir", str(workdir)]) == 0
    assert seen == {
        "shown": ["here", "kept_one"],
        "claims": {"depth": False, "width": True},
        "grids": {"kept": True, "own": False},
        "traces": [],
        "nets": ["perceptron.mnist", "mlp.mnist", "lenet5.mnist"],
        "lang": "ko",
    }
    assert cli.run(["timeline", "--no-line", "--lang", "tlh", "--workdir", str(workdir)]) == 2
    assert "unknown language" in capsys.readouterr().err


def test_the_quickest_claims_run_within_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr("train.history.claims.run.run_claim", lambda name, **options: ran.append(name))
    monkeypatch.setattr(
        timeline.results, "read", lambda: {n: {"name": n, "seconds": s, "setting": "small"} for n, s in times}
    )
    times = [("slow", 30.0), ("quick", 5.0), ("middle", 20.0)]
    timeline.run_quickest(40.0, timeline.TimelineOptions(workdir=tmp_path), None)
    assert ran == ["quick", "middle"]
    own = tmp_path / "claims" / "quick"
    own.mkdir(parents=True)
    (own / "result.json").write_text("{}")
    ran.clear()
    (own / "result.json").write_text('{"name": "quick"}')
    timeline.run_quickest(10.0, timeline.TimelineOptions(workdir=tmp_path), None)
    assert ran == []


def test_a_run_that_departs_from_its_config_does_not_stand_for_it(tmp_path: Path) -> None:
    usual = dataclasses.asdict(files.load("digits_mlp"))
    for day, change in ((1, {}), (2, {"seed": 7, "seeds": 3}), (3, {"steps": 60})):
        folder = tmp_path / "digits_mlp" / f"2026-01-0{day}_000000"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(usual | change))
        (folder / "summary.json").write_text(json.dumps({"name": "digits_mlp"}))
    assert [path.name for path in timeline.newest(tmp_path)] == ["2026-01-02_000000"]
