"""The registry of zoo, for the tables of training: metrics, ways of learning and what a user's own file adds."""

from zoo.registry import Registry, registering

__all__ = ["Registry", "registering"]
