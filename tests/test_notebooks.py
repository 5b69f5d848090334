"Every notebook of the library runs from top to bottom, each in a process of its own, as `nbdev_test` would run it; those of experiments are run with the report"
import pytest

from runner import LIBRARY, NBS, run_notebook


def test_there_are_notebooks():
    assert LIBRARY, f'no notebook under {NBS}'


# the long ones, which stand on many others, come first: none of them is left to run by itself at the end
@pytest.mark.parametrize('notebook', LIBRARY[::-1], ids=lambda path: path.stem)
def test_notebook(notebook): run_notebook(notebook)
