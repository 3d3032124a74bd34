"""The conformance suite: what every plugin must keep, built in or not.

    bench conform my-method --plugin my_method.py          # from a shell

    @pytest.mark.parametrize("check", method_checks())     # from a plugin author's tests
    def test_my_method(check): check(MyMethod)

A check takes a plugin and raises ``AssertionError`` with what was expected: a method's class, an
architecture as users write it (``"convnet3"``), a dataset's class.
"""

from bench.conformance.architectures import architecture_checks
from bench.conformance.datasets import dataset_checks
from bench.conformance.methods import method_checks

__all__ = ["architecture_checks", "dataset_checks", "method_checks"]
