"Runs a notebook for the tests, compares the tables stored in it with those it makes, and fetches published networks"
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import patch

import pytest

ROOT = Path(__file__).resolve().parents[1]
NBS = ROOT/'nbs'
NOTEBOOKS = sorted(p.relative_to(NBS) for p in NBS.rglob('*.ipynb')
                   if not any(part[0] in '._' for part in p.relative_to(NBS).parts))
# The smoke report runs the steps of a report. Other experiments write into its folder, and the commands start it:
# they come after it.
STEPS = {'dense', 'widths', 'prune', 'aware', 'finetune', 'speed', 'tables', 'figures', 'pictures'}
EXPERIMENTS = [path for path in NOTEBOOKS if 'experiments' in path.parts and path.stem not in STEPS]
AFTER_REPORT = [*EXPERIMENTS, Path('50_cli.ipynb')]
LIBRARY = [path for path in NOTEBOOKS if 'experiments' not in path.parts and path not in AFTER_REPORT]
SECONDS = 900
PATIENT = dict(OMP_WAIT_POLICY='passive')      # threads that wait for each other leave the core to another process
# what most notebooks import, and what takes long: loaded once, for all of them
PRELOADED = ['nbdev.test', 'accelerate', 'av', 'cv2', 'matplotlib.pyplot', 'pandas', 'scipy.ndimage', 'skimage',
             'torch', 'torch._dynamo', 'torch.utils.flop_counter', 'torch_pruning']


def shared_out()->dict:
    "The environment, with the cores divided among the tests that run side by side: more threads would only wait"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1))
    return os.environ | PATIENT | dict(OMP_NUM_THREADS=str(max(1, cores//workers)))


def html_of(outputs:list)->list:
    "What the outputs of a cell show as HTML"
    return [''.join(out['data']['text/html']) for out in outputs if 'text/html' in out.get('data', {})]


def headings(pieces:list)->list:
    "The column headings of each table in pieces of HTML"
    def texts(head): return [re.sub('<.*?>', '', cell) for cell in re.findall(r'<th\b.*?</th>', head, re.S)]
    heads = [head for piece in pieces for head in re.findall('<thead>.*?</thead>', piece, re.S)]
    return [[text for text in texts(head) if text] for head in heads]


def stale_tables(cells:list, shown:dict)->list:
    "A line for each cell whose stored tables have other columns than those it showed when it was run, if it was"
    lines = []
    for cell in cells:
        if cell['id'] not in shown: continue
        stored = headings(html_of(cell['outputs']))
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
            first = f'nbs/{notebook}: stored tables are out of date; run these cells and save the notebook:'
            pytest.fail('\n'.join([first, *stale]), pytrace=False)


@cache
def server():
    "Where the processes of notebooks are forked: with the libraries loaded that take seconds to import"
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    with patch.dict(os.environ, shared_out()): forkserver.ensure_running()      # torch counts threads when it is loaded
    return context


def run_cells(notebook:Path, shown:Path, printed:Path):
    "Run a notebook in this process; write what its cells show, by cell, to one file, and what is printed to another"
    os.setsid()
    os.chdir(ROOT)
    multiprocessing.set_start_method(None, force=True)      # what the notebook starts is started as usual
    with printed.open('w') as file:
        for stream in (sys.stdout, sys.stderr): os.dup2(file.fileno(), stream.fileno())
    import nbdev.test
    from nbdev.config import get_config
    tables = {}
    class Shell(nbdev.test.CaptureShell):
        "Keeps what each cell that is run shows as HTML, by the id of the cell"
        def cell(self, cell, **options):
            cell.outputs = []
            super().cell(cell, **options)
            if cell.cell_type == 'code': tables[cell.id] = html_of(cell.outputs)
    config = get_config()
    with patch('nbdev.test.CaptureShell', Shell):
        passed, _ = nbdev.test.test_nb(NBS/notebook, skip_flags=config.tst_flags.split(), basepath=config.config_path)
    shown.write_text(json.dumps(tables))
    sys.exit(not passed)


def execute(notebook:Path, shown:Path)->tuple:
    "Run a notebook in a process of its own, see `run_cells`: (exit status, what was printed)"
    printed = shown.with_name('printed.txt')
    process = server().Process(target=run_cells, args=(notebook, shown, printed))
    process.start()
    try:
        process.join(SECONDS)
        if process.exitcode is None: return 1, f'not done after {SECONDS} s'
        return process.exitcode, printed.read_text(errors='replace')
    finally:  # whatever the notebook started ends with it
        try: os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError: pass
        process.join()


@cache
def attempt(name):
    "The file of a published network, or why there is none; processes wait for the one that fetches it"
    from vsrprune.catalogue import fetch
    from vsrprune.files import InputError
    try: return fetch([name])[0]
    except InputError as e: return f'{name} is not here and cannot be fetched: {e}'


def fetched(name):
    "The file of a published network; where it cannot be had, the test is skipped"
    file = attempt(name)
    if isinstance(file, str): pytest.skip(file)
    return file
