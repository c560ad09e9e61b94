"""Weighted k-nearest neighbours: how well features separate classes, without training a classifier."""

import numpy as np

NEIGHBOURS = 20
TEMPERATURE = 0.07


def unit(features: np.ndarray) -> np.ndarray:
    """Scale features (N, D) to length 1; a zero vector stays zero."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def vote(
    bank: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    classes: int,
    neighbours: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> np.ndarray:
    """Return the predicted class of each query (M,) int: a vote of its nearest neighbours in a bank (N, D).

    A neighbour votes with weight exp(cosine / temperature): Wu et al. 2018, arXiv 1805.01978, section 3.4, with their
    temperature 0.07; 20 neighbours as in Caron et al. 2021, arXiv 2104.14294, section 4.1. In a smaller bank all vote.
    Features that are not finite do not vote, and a query that has such features gets the class -1, which is none.
    """
    from sklearn.neighbors import NearestNeighbors  # slow to import

    is_voter, is_query = np.isfinite(bank).all(1), np.isfinite(queries).all(1)
    bank, labels = bank[is_voter], labels[is_voter]
    predicted = np.full(len(queries), -1)
    if not len(bank) or not is_query.any():
        return predicted
    queries = queries[is_query]
    count = min(neighbours, len(bank))
    bank, queries = _on_the_sphere(unit(bank), unit(queries))
    nearest = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(bank)
    distance, index = nearest.kneighbors(queries)
    weight = np.exp((1 - distance**2 / 2 - 1) / temperature)  # minus the largest cosine, 1, against overflow
    votes = np.zeros((len(queries), classes))
    np.add.at(votes, (np.arange(len(queries))[:, None], labels[index]), weight)
    predicted[is_query] = votes.argmax(1)
    return predicted


def _on_the_sphere(bank: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give zero vectors length 1 in a direction of their own, so that their cosine with all others is 0."""
    of_bank, of_queries = (np.asarray(~part.any(axis=1, keepdims=True), part.dtype) for part in (bank, queries))
    if not of_bank.any() and not of_queries.any():
        return bank, queries
    none = np.zeros_like
    return (
        np.concatenate([bank, of_bank, none(of_bank)], axis=1),
        np.concatenate([queries, none(of_queries), of_queries], axis=1),
    )


def accuracy(bank: np.ndarray, labels: np.ndarray, queries: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Return the share of the queries that are predicted right."""
    return float(np.mean(vote(bank, labels, queries, classes) == truth))
