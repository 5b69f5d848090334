"""Every notebook of the library runs from top to bottom, each in a process of its own, as `nbdev_test` would run it;
those of experiments are run with the report"""
import json

import pytest

from runner import LIBRARY, NBS, run_notebook


def test_there_are_notebooks():
    assert LIBRARY, f'no notebook under {NBS}'


# the long ones, which stand on many others, come first: none of them is left to run by itself at the end
@pytest.mark.parametrize('notebook', LIBRARY[::-1], ids=lambda path: path.stem)
def test_notebook(notebook): run_notebook(notebook)


def test_a_stored_table_of_other_columns_is_found(tmp_path):
    def table(column): return f'<table><thead><tr><th></th><th>{column}</th></tr></thead><tr><th>row</th></tr></table>'
    def cell(name, source, stored):
        shown = dict(output_type='display_data', metadata={}, data={'text/html': table(stored)})
        return dict(id=name, cell_type='code', execution_count=None, metadata={}, source=source, outputs=[shown])
    made = f"from IPython.display import HTML\nHTML({table('psnr')!r})"
    cells = [cell('fresh', made, 'psnr'), cell('stale', made, 'dB'), cell('skipped', f'#| slow\n{made}', 'dB'),
             cell('gone', 'pass', 'dB')]
    (tmp_path/'tables.ipynb').write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
    with pytest.raises(pytest.fail.Exception) as failed: run_notebook(tmp_path/'tables.ipynb')
    assert str(failed.value).splitlines()[1:] == ["cell stale: stored [['dB']], made now [['psnr']]",
                                                  "cell gone: stored [['dB']], made now []"]
