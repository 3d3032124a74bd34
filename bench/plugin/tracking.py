"""For packages that hand the course of a run to an experiment tracker."""

from bench.support.tracker import Tracker

__all__ = ["Tracker"]
