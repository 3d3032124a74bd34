"""IDC: condensation via efficient synthetic-data parameterisation."""

from methods.idc.method import IDC

__all__ = ["IDC"]
