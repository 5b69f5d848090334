"Runs a notebook for the tests, and fetches published networks"
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NBS = ROOT/'nbs'
NOTEBOOKS = sorted(p.relative_to(NBS) for p in NBS.rglob('*.ipynb')
                   if not any(part[0] in '._' for part in p.relative_to(NBS).parts))
# the smoke report runs the steps of a report; other experiments write where it does, and the commands begin it: they come after it
STEPS = {'dense', 'widths', 'trial', 'prune', 'aware', 'finetune', 'speed', 'tables', 'figures', 'pictures'}
EXPERIMENTS = [path for path in NOTEBOOKS if 'experiments' in path.parts and path.stem not in STEPS or path.stem == '50_cli']
LIBRARY = [path for path in NOTEBOOKS if path not in EXPERIMENTS and 'experiments' not in path.parts]
SECONDS = 900
PATIENT = dict(OMP_WAIT_POLICY='passive')      # threads that wait for each other leave the core to another process
RUN = '''
import sys
from pathlib import Path
from nbdev.config import get_config
from nbdev.test import test_nb
config = get_config()
passed, _ = test_nb(Path(sys.argv[1]), skip_flags=config.tst_flags.split(), basepath=config.config_path)
sys.exit(not passed)
'''


def shared_out()->dict:
    "The environment, with the cores shared out among tests that run side by side: more threads than cores only wait for each other"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return os.environ | PATIENT | dict(OMP_NUM_THREADS=str(max(1, cores//int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1)))))


def run_notebook(notebook:Path):
    "Fail the test unless the notebook runs"
    process = subprocess.Popen([sys.executable, '-c', RUN, str(NBS/notebook)], cwd=ROOT, text=True, errors='replace', env=shared_out(),
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


@cache
def attempt(name):
    "The file of a published network, or why there is none; processes that run side by side wait for the one that fetches"
    from vsrprune.catalogue import fetch
    from vsrprune.files import InputError
    try: return fetch([name])[0]
    except InputError as e: return f'{name} is not here and cannot be fetched: {e}'


def fetched(name):
    "The file of a published network; where it cannot be had, the test is skipped"
    file = attempt(name)
    if isinstance(file, str): pytest.skip(file)
    return file
