"""The exam that benchbench's own methods take."""

from benchbench_my_method import MyMethod

from benchbench.testing import check_method


def test_my_method_passes_the_exam() -> None:
    exam = check_method(MyMethod)
    assert exam.passed, exam.problems
