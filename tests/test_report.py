"The report once the whole way, with the profile made for it: every step through Snakemake and papermill, in the repository itself"
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT/'data'/'runs'/'smoke'
PRODUCTS = [ROOT/'paper'/'report-smoke.pdf', ROOT/'paper'/'tables'/'smoke', ROOT/'figures'/'smoke']
COMMAND = [str(Path(sys.executable).with_name('vsrprune')), 'report', '--profile', 'smoke']
HAS_TEX = shutil.which('latexmk') is not None


def report():
    "Build the smoke report: (exit status, what was printed)"
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=400)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope='module')
def built():
    "The smoke report from nothing, killed once on the way and then finished"
    for product in [RUNS, *PRODUCTS]: shutil.rmtree(product) if product.is_dir() else product.unlink(missing_ok=True)
    first = subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    dense, waited = RUNS/'curves'/'dense.csv', time.monotonic() + 200
    while not dense.exists() and first.poll() is None and time.monotonic() < waited: time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert dense.exists(), 'the dense network was not trained'
    trained, = (RUNS/'states').glob('dense-*.pt')
    before = trained.stat().st_mtime_ns
    status, said = report()
    assert status == (0 if HAS_TEX else 1), said
    return said, trained.stat().st_mtime_ns - before     # 0: a finished training is read, not written again


def test_a_killed_report_goes_on_without_training_again(built):
    said, touched = built
    assert 'baseline: running' in said and 'unstructured-0.5-s0: done' in said
    assert len(list((RUNS/'states').glob('dense-[0-9a-f]*.pt'))) == 1, 'the training was begun anew'
    assert touched == 0, 'a finished training was done again'


def test_every_run_left_a_record(built):
    from vsrprune.experiments import Profile
    from vsrprune.results import read_records
    records = read_records(RUNS/'records')
    profile = Profile.load('smoke')
    assert len(records) == 3 + 2*len(profile.unstructured)
    for r in records:
        assert len(r.scores.clips) == 3 and 10 < r.scores.psnr < 60, r.name
        if r.method == 'unstructured': assert r.ratio == pytest.approx(r.ratio_asked, abs=1e-4)


def test_weights_on_disk_are_those_in_the_records(built):
    from vsrprune import checkpoints
    dense = json.loads((RUNS/'records'/'dense-s0-dense.json').read_text())
    path = RUNS/'weights'/'dense.safetensors'
    assert (dense['baseline_sha256'], dense['cost']['bytes']) == (checkpoints.sha256(path), path.stat().st_size)


def test_table_figures_and_pages_are_there(built):
    table = (ROOT/'paper'/'tables'/'smoke'/'unstructured.tex').read_text()
    assert 'paper (REDS)' in table and 'ours (stills)' in table and '0.82' in table
    for figure in ('figure1', 'figure2'): assert (ROOT/'figures'/'smoke'/f'{figure}.png').stat().st_size > 10_000
    assert 'bicubic' in (RUNS/'notebooks'/'tables.html').read_text()


@pytest.mark.skipif(not HAS_TEX, reason='latexmk is not installed')
def test_there_is_a_pdf_and_its_numbers_are_those_of_the_records(built):
    from vsrprune.results import numbers, read_records
    assert (ROOT/'paper'/'report-smoke.pdf').read_bytes().startswith(b'%PDF')
    defined = (ROOT/'paper'/'tables'/'smoke'/'numbers.tex').read_text()
    for name, value in numbers(read_records(RUNS/'records')).items():
        if name.startswith('dense.'): assert f'\\csname val@{name}\\endcsname{{{value}}}' in defined


def test_a_second_call_computes_nothing(built):
    before = {p: p.stat().st_mtime_ns for p in RUNS.rglob('*') if p.is_file() and p.suffix != '.log'}
    status, said = report()
    assert status == (0 if HAS_TEX else 1), said
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert 'running' not in said
