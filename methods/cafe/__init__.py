"""CAFE: condensation by aligning features."""

from methods.cafe.method import CAFE, CAFEDSA

__all__ = ["CAFE", "CAFEDSA"]
