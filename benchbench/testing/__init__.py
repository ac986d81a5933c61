"""The exam that every method takes before its scores are believed; ``benchbench check``.

In a plugin's own tests::

    from benchbench.testing import check_method

    def test_my_method() -> None:
        exam = check_method(MyMethod)
        assert exam.passed, exam.problems

The exam trains a small random Llama, made on the spot, a few steps at a time in a temporary folder;
it needs no network, no accelerator and no data. ``exam`` holds the order of the checks and what
they answer, ``material`` the model and the samples, ``trial`` the trainings, ``served`` what
engines make of them, ``definition``, ``behaviour`` and ``artefact`` the checks themselves, and
``matrix`` the page of all methods.
"""

from benchbench.testing.exam import CHECKS, Check, Exam, check_method
from benchbench.testing.matrix import matrix_page

__all__ = ["CHECKS", "Check", "Exam", "check_method", "matrix_page"]
