"Every notebook runs from top to bottom, each in a process of its own, as `nbdev_test` would run it"
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NBS = ROOT/'nbs'
NOTEBOOKS = sorted(p.relative_to(NBS) for p in NBS.rglob('*.ipynb')
                   if not any(part[0] in '._' for part in p.relative_to(NBS).parts))
SECONDS = 600
RUN = '''
import sys
from pathlib import Path
from nbdev.config import get_config
from nbdev.test import test_nb
config = get_config()
passed, _ = test_nb(Path(sys.argv[1]), skip_flags=config.tst_flags.split(), basepath=config.config_path)
sys.exit(not passed)
'''


def test_there_are_notebooks():
    assert NOTEBOOKS, f'no notebook under {NBS}'


def alone(notebook):
    "Notebooks of experiments write where the report of the smoke profile does, and the commands begin it, so none of them runs beside another"
    touches = 'experiments' in notebook.parts or notebook.stem == '40_cli'
    return pytest.param(notebook, id=notebook.with_suffix('').as_posix(), marks=pytest.mark.xdist_group('report') if touches else ())


@pytest.mark.parametrize('notebook', [alone(path) for path in NOTEBOOKS])
def test_notebook(notebook):
    process = subprocess.Popen([sys.executable, '-c', RUN, str(NBS/notebook)], cwd=ROOT, text=True, errors='replace',
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        output = f'not done after {SECONDS} s'
    finally:  # whatever the notebook started ends with it
        try: os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError: pass
        process.wait()
    if process.returncode:
        pytest.fail(f'nbs/{notebook} failed (exit status {process.returncode}):\n{output[-20_000:]}', pytrace=False)
