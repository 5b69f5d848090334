"Runs a notebook for the tests, compares the tables stored in it with those it makes, and fetches published networks"
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
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
import json
import sys
from pathlib import Path
import nbdev.test
from nbdev.config import get_config
shown = {}
class Shell(nbdev.test.CaptureShell):
    "Keeps what each cell that is run shows as HTML, by the id of the cell"
    def cell(self, cell, **options):
        cell.outputs = []
        super().cell(cell, **options)
        if cell.cell_type == 'code': shown[cell.id] = [''.join(out.data['text/html']) for out in cell.outputs if 'text/html' in out.get('data', {})]
nbdev.test.CaptureShell = Shell
config = get_config()
passed, _ = nbdev.test.test_nb(Path(sys.argv[1]), skip_flags=config.tst_flags.split(), basepath=config.config_path)
Path(sys.argv[2]).write_text(json.dumps(shown))
sys.exit(not passed)
'''


def shared_out()->dict:
    "The environment, with the cores shared out among tests that run side by side: more threads than cores only wait for each other"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return os.environ | PATIENT | dict(OMP_NUM_THREADS=str(max(1, cores//int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1)))))


def headings(pieces:list)->list:
    "The column headings of each table in pieces of HTML"
    def texts(head): return [re.sub('<.*?>', '', cell) for cell in re.findall(r'<th\b.*?</th>', head, re.S)]
    return [[text for text in texts(head) if text] for piece in pieces for head in re.findall('<thead>.*?</thead>', piece, re.S)]


def stale_tables(cells:list, shown:dict)->list:
    "A line for each cell whose stored tables have other columns than those it showed when it was run; cells that were not run are left out"
    lines = []
    for cell in cells:
        if cell['id'] not in shown: continue
        stored = headings([''.join(out['data']['text/html']) for out in cell['outputs'] if 'text/html' in out.get('data', {})])
        made = headings(shown[cell['id']])
        if stored and stored != made: lines.append(f"cell {cell['id']}: stored {stored}, made now {made}")
    return lines


def run_notebook(notebook:Path):
    "Fail the test unless the notebook runs and the columns of its stored tables are those it makes"
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder)/'shown.json'
        status, output = execute(notebook, shown)
        if status: pytest.fail(f'nbs/{notebook} failed (exit status {status}):\n{output[-20_000:]}', pytrace=False)
        cells = json.loads((NBS/notebook).read_text(encoding='utf-8'))['cells']
        if stale := stale_tables(cells, json.loads(shown.read_text())):
            pytest.fail('\n'.join([f'nbs/{notebook}: stored tables are out of date; run these cells and save the notebook:', *stale]), pytrace=False)


def execute(notebook:Path, shown:Path)->tuple:
    "Run a notebook in a process of its own, which writes what its cells show to a file: (exit status, what was printed)"
    process = subprocess.Popen([sys.executable, '-c', RUN, str(NBS/notebook), str(shown)], cwd=ROOT, text=True, errors='replace', env=shared_out(),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        output = f'not done after {SECONDS} s'
    finally:  # whatever the notebook started ends with it
        try: os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError: pass
        process.wait()
    return process.returncode, output


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
