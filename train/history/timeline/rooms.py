"""The rooms of the museum: one for each paper, each algorithm and each claim, with everything that belongs to it."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from train.algorithms.cards import ALGORITHMS, Algorithm
from train.history.timeline.drawing import Drawing, draw
from train.history.timeline.exhibits import Exhibit
from train.history.timeline.findings import Finding
from train.history.timeline.lineage import Member
from zoo.cards import Card, Paper
from zoo.wiring import wire

Kind = Literal["model", "optimizer", "loss", "activation", "claim"]
TITLES = {
    **{"perceptron": "Perceptron", "mlp": "MLP", "lstm": "LSTM", "alexnet": "AlexNet", "vgg": "VGG"},
    **{"lecun1989": "LeCun 1989", "lenet": "LeNet-5"},
    **{"dqn": "DQN", "seq2seq": "seq2seq", "seq2seq_attention": "Attention", "gan": "GAN", "dcgan": "DCGAN"},
    **{"resnet": "ResNet", "transformer": "Transformer", "bert": "BERT", "gpt": "GPT", "vit": "ViT"},
    **{"simclr": "SimCLR", "unet": "U-Net", "fcn": "FCN"},
}
"""Family -> its usual name."""
OURS = "Not in the paper"  # part of a card's `departs` where its size is not one of the paper's


class CardDrawings(NamedTuple):
    """The drawings of one model."""

    card: Card
    drawings: tuple[Drawing, ...]


class Link(NamedTuple):
    """A parent or an heir of a room."""

    room: str  # id of the other room
    what: str  # the idea that was taken over


@dataclasses.dataclass(frozen=True)
class Room:
    """The content of one landmark's room. The room of a claim has no `paper`; its texts are in `finding`."""

    id: str
    kind: Kind
    title: str
    year: int
    ideas: tuple[str, ...]
    paper: Paper | None = None
    cards: tuple[Card, ...] = ()
    algorithm: Algorithm | None = None
    finding: Finding | None = None
    drawings: tuple[CardDrawings, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    claims: tuple[Finding, ...] = ()
    parents: tuple[Link, ...] = ()
    heirs: tuple[Link, ...] = ()

    @property
    def lane(self) -> Literal["model", "algorithm", "claim"]:
        return self.kind if self.kind in ("model", "claim") else "algorithm"

    @property
    def name(self) -> str:
        """The name of the room's main card, algorithm or claim on the command line."""
        if self.cards:
            return self.cards[0].name
        if self.algorithm:
            return self.algorithm.name
        assert self.finding is not None, f"{self} is empty"
        return self.finding.name

    @property
    def shown(self) -> bool:
        """Whether it contains a measured result."""
        return bool(self.exhibits or self.claims or self.finding)


def furnish(
    cards: Mapping[str, Card],
    exhibits: Sequence[Exhibit],
    findings: Sequence[Finding],
    algorithms: Mapping[str, Algorithm] = ALGORITHMS,
) -> list[Room]:
    """Return all rooms, sorted by year, and within a year models, then algorithms, then claims."""
    rooms = [*_model_rooms(cards, exhibits, findings), *_algorithm_rooms(algorithms, findings)]
    rooms += [
        Room(room_id("claim", f.name), "claim", f.name.replace("_", " "), f.year, (f.says,), finding=f)
        for f in findings
    ]
    lanes = ("model", "algorithm", "claim")
    return sorted(
        rooms, key=lambda room: (room.year, lanes.index(room.lane))
    )  # stable: otherwise in the order of the catalogue


def room_id(kind: str, name: str) -> str:
    """Return an id that is safe in HTML and in URLs for any name."""
    return f"{kind}-" + re.sub(r"[^A-Za-z0-9_-]", lambda hit: f".{ord(hit[0]):x}", name)


def members(rooms: Sequence[Room]) -> list[Member]:
    """Return the rooms of models as members of the lineage, parents first."""
    found = {room.id: Member(room.id, room.title, room.year, dict(room.parents)) for room in rooms if room.cards}
    ordered: dict[str, Member] = {}

    def add(member: Member) -> None:
        for parent in member.parents:
            if parent in found and parent not in ordered:
                add(found[parent])
        ordered.setdefault(member.id, member)

    for member in found.values():
        add(member)
    return list(ordered.values())


def _model_rooms(cards: Mapping[str, Card], exhibits: Sequence[Exhibit], findings: Sequence[Finding]) -> Iterator[Room]:
    papers: dict[Paper, list[Card]] = {}
    for card in cards.values():
        papers.setdefault(card.paper, []).append(card)
    families: dict[str, set[Paper]] = {}
    for paper, own in papers.items():
        families.setdefault(own[0].family, set()).add(paper)
    heads = {paper: _head(own) for paper, own in papers.items()}
    ids = {paper: room_id("model", head.name) for paper, head in heads.items()}
    for paper, own in papers.items():
        head, names = heads[paper], {card.name for card in own}
        title = TITLES.get(head.family, head.family)
        if len(families[head.family]) > 1:
            title = f"{title} ({head.name})"
        shown = tuple(exhibit for exhibit in exhibits if exhibit.model in names)
        taken = {ids[cards[p].paper]: what for p, what in head.parents.items() if p in cards}
        passed = {
            ids[other.paper]: what
            for other in heads.values()
            for p, what in other.parents.items()
            if p in names and other.paper != paper
        }
        yield Room(
            ids[paper],
            "model",
            title,
            min(card.year for card in own),
            tuple(dict.fromkeys(card.idea for card in (head, *own))),
            paper,
            (head, *(card for card in own if card is not head)),
            drawings=tuple(_drawn(head, own, shown)),
            exhibits=shown,
            claims=tuple(f for f in findings if names & set(f.models)),
            parents=tuple(Link(*link) for link in taken.items()),
            heirs=tuple(Link(*link) for link in passed.items()),
        )


def _head(own: Sequence[Card]) -> Card:
    """Return the main card of a paper: the first one without departures, else the first of a size in the paper."""
    return min(own, key=lambda card: (bool(card.departs), OURS in card.departs))


def _drawn(head: Card, own: Sequence[Card], shown: Sequence[Exhibit]) -> Iterator[CardDrawings]:
    """Draw the main card of the paper, one card for each other idea in it, and all cards that were trained."""
    chosen, ideas, trained = {head.name: head}, {head.idea}, {exhibit.model for exhibit in shown}
    for card in own:
        if card.idea not in ideas or card.name in trained:
            chosen[card.name] = card
            ideas.add(card.idea)
    for card in chosen.values():
        if card.module is not None:
            yield CardDrawings(card, tuple(draw(wire(card.make(), card.inputs), card.inputs)))


def _algorithm_rooms(algorithms: Mapping[str, Algorithm], findings: Sequence[Finding]) -> Iterator[Room]:
    for card in algorithms.values():
        about = tuple(f for f in findings if card.name in f.algorithms)
        title = card.name.replace("_", " ")
        yield Room(room_id(card.kind, card.name), card.kind, title, card.year, (card.idea,), card.paper,
                   algorithm=card, claims=about)  # fmt: skip
