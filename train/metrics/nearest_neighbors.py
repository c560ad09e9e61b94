"""Weighted nearest neighbours: how well features tell classes apart, without anything that is learned."""

import numpy as np

NEIGHBOURS = 20
TEMPERATURE = 0.07


def unit(features: np.ndarray) -> np.ndarray:
    """features (N, D) brought to length 1; a vector of zeros stays one."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def vote(
    bank: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    classes: int,
    neighbours: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> np.ndarray:
    """The class of each query (M,) int, from a bank (N, D) with labels (N,): its nearest ones by cosine vote.

    Each with weight exp(cosine / temperature): Wu et al. 2018, arXiv 1805.01978, section 3.4, whose temperature is
    0.07 too; 20 neighbours as in Caron et al. 2021, arXiv 2104.14294, section 4.1. All of a smaller bank vote.
    """
    from sklearn.neighbors import NearestNeighbors  # slow to import

    count = min(neighbours, len(bank))
    nearest = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(unit(bank))
    distance, index = nearest.kneighbors(unit(queries))
    weight = np.exp((1 - distance**2 / 2 - 1) / temperature)  # less the cosine of a perfect match: no overflow
    votes = np.zeros((len(queries), classes))
    np.add.at(votes, (np.arange(len(queries))[:, None], labels[index]), weight)
    return votes.argmax(1)


def accuracy(bank: np.ndarray, labels: np.ndarray, queries: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Share of the queries whose class the bank votes for."""
    return float(np.mean(vote(bank, labels, queries, classes) == truth))
