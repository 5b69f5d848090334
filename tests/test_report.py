"""The report once the whole way, with the profile made for it: every step through Snakemake and papermill, in the
repository itself"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner import AFTER_REPORT, PATIENT, ROOT, STEPS, run_notebook

RUNS = ROOT/'data'/'runs'/'smoke'
PRODUCTS = [ROOT/'paper'/'report-smoke.pdf', ROOT/'paper'/'tables'/'smoke', ROOT/'figures'/'smoke']
COMMAND = [str(Path(sys.executable).with_name('vsrprune')), 'report', '--profile', 'smoke', '--no-site']
HAS_TEX = shutil.which('latexmk') is not None


def report():
    "Build the smoke report: (exit status, what was printed)"
    done = subprocess.run(COMMAND, cwd=ROOT, env=os.environ | PATIENT, capture_output=True, text=True, timeout=2400)
    return done.returncode, done.stdout + done.stderr


def is_whole(status, said):
    "Whether all was built; without TeX that is all but the PDF"
    return status == 0 if HAS_TEX else (status, 'the PDF needs TeX' in said) == (1, True)


@pytest.fixture(scope='module')
def built():
    "The smoke report from nothing, killed once on the way and then finished"
    for product in [RUNS, *PRODUCTS]: shutil.rmtree(product) if product.is_dir() else product.unlink(missing_ok=True)
    first = subprocess.Popen(COMMAND, cwd=ROOT, env=os.environ | PATIENT, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
    until = time.monotonic() + 1200
    while not (trained := [*(RUNS/'states').glob('[!.]*.pt')]):
        if first.poll() is not None or time.monotonic() > until: break
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert trained, 'nothing was trained'
    before = trained[0].stat().st_mtime_ns
    status, said = report()
    assert is_whole(status, said), said
    touched = trained[0].stat().st_mtime_ns - before     # 0: a finished training is read, not written again
    return said, trained[0], touched


def test_a_killed_report_goes_on_without_training_again(built):
    said, trained, touched = built
    assert 'running' in said and 'tables: done' in said
    assert len([*(RUNS/'states').glob(f'{trained.name[:-16]}*.pt')]) == 1, 'the training was begun anew'
    assert touched == 0, 'a finished training was done again'


def test_it_says_which_run_of_how_many(built):
    said = built[0]
    counted = re.findall(r'\[(\d+) of (\d+)\] \S+: done', said)
    assert counted and [int(n) for n, _ in counted] == list(range(1, len(counted) + 1))
    assert len({total for _, total in counted}) == 1
    assert 'left' in said and 'Finished jobid' not in said


def test_kernels_that_are_shut_down_alarm_nobody(built): assert 'ERROR' not in built[0]


def test_every_step_was_run(built):
    from vsrprune.profiles import Profile
    assert {run.step for run in Profile.load('smoke').runs()} - {'paper'} == STEPS


def test_every_run_left_a_record(built):
    from vsrprune.profiles import Profile
    from vsrprune.records import read_records
    records = read_records(RUNS/'records')
    profile = Profile.load('smoke')
    assert {r.name for r in records} == set(profile.record_names)
    dense = next(r for r in records if r.method == 'dense')
    for r in records:
        assert len(r.scores.clips) == 3 and 10 < r.scores.psnr < 60, r.name
        if r.method == 'weights':
            assert r.ratio == pytest.approx(r.ratio_asked, abs=1e-3) and r.cost.macs == dense.cost.macs
        if r.options.keep_macs and r.stage != 'regularised':
            assert r.ratio > 0 and 0.35 < r.cost.macs/dense.cost.macs < 0.55
        elif r.options.filters:
            assert 0 < r.ratio < 2*r.ratio_asked
            assert r.cost.macs + r.cost.macs_flow < dense.cost.macs + dense.cost.macs_flow


def test_weights_on_disk_are_those_in_the_records(built):
    from vsrprune import checkpoints
    dense = json.loads((RUNS/'records'/'dense-s0-dense.json').read_text())
    path = RUNS/'weights'/'dense.safetensors'
    assert (dense['baseline_sha256'], dense['cost']['bytes']) == (checkpoints.sha256(path), path.stat().st_size)


def test_table_figures_and_pages_are_there(built):
    tables = ROOT/'paper'/'tables'/'smoke'
    table = (tables/'unstructured.tex').read_text()
    assert 'paper (REDS)' in table and 'ours (stills)' in table and '0.82' in table
    for name in ('structured', 'ablation', 'claims', 'sweep', 'weights', 'aware'):
        assert r'\bottomrule' in (tables/f'{name}.tex').read_text()
    for n in range(1, 10): assert (ROOT/'figures'/'smoke'/f'figure{n}.png').stat().st_size > 10_000
    assert 'bicubic' in (RUNS/'notebooks'/'tables.html').read_text()


@pytest.mark.skipif(not HAS_TEX, reason='latexmk is not installed')
def test_there_is_a_pdf_and_its_numbers_are_those_of_the_records(built):
    from vsrprune.paper import numbers
    from vsrprune.records import read_records
    assert (ROOT/'paper'/'report-smoke.pdf').read_bytes().startswith(b'%PDF')
    defined = (ROOT/'paper'/'tables'/'smoke'/'numbers.tex').read_text()
    for name, value in numbers(read_records(RUNS/'records')).items():
        if name.startswith('dense.'): assert f'\\csname val@{name}\\endcsname{{{value}}}' in defined


def test_a_second_call_computes_nothing(built):
    before = {p: p.stat().st_mtime_ns for p in RUNS.rglob('*') if p.is_file() and p.suffix != '.log'}
    status, said = report()
    assert is_whole(status, said), said
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert 'running' not in said


@pytest.fixture(scope='module')
def clone(built, tmp_path_factory):
    "The repository without runs, with the records of the smoke report kept"
    clone = tmp_path_factory.mktemp('elsewhere')/'clone'
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns('.venv', '.git', '.snakemake', 'runs', 'build'))
    from vsrprune.steps import finished_records
    from vsrprune.profiles import Profile
    from vsrprune.records import keep_records
    keep_records(finished_records(Profile.load('smoke')), clone/'data'/'records'/'smoke')
    profile = clone/'data'/'profiles'/'smoke.yaml'
    profile.write_text(profile.read_text().replace('\nlines:', '\ncommitted: true\nlines:'))
    return clone


def report_in(clone, *options):
    "Build the smoke report of a clone: (exit status, what was printed)"
    where = os.environ | PATIENT | dict(PYTHONPATH=str(clone))
    done = subprocess.run([*COMMAND, *options], cwd=clone, env=where, capture_output=True, text=True, timeout=1200)
    return done.returncode, done.stdout + done.stderr


def test_records_are_kept_and_a_report_is_built_from_them(clone):
    "`make records`, then the same tables from the committed records alone"
    finetuned = [*(clone/'data'/'records'/'smoke').glob('filters-*-finetuned.json')]
    assert any(json.loads(p.read_text())['cost']['speedup'] for p in finetuned)
    tables = clone/'paper'/'tables'/'smoke'
    shutil.rmtree(tables)
    status, said = report_in(clone)
    assert is_whole(status, said), said
    assert 'tables: done' in said and 'filters-0.1-l1-s0: running' not in said
    assert not (clone/'data'/'runs'/'smoke'/'records').exists()
    for name in ('structured.tex', 'numbers.tex'):
        assert (tables/name).read_text() == (ROOT/'paper'/'tables'/'smoke'/name).read_text()


def test_a_profile_that_has_grown_computes_only_what_is_new(clone):
    profile = clone/'data'/'profiles'/'smoke.yaml'
    text = profile.read_text().replace('\ncommitted: true', '')
    profile.write_text(text + '- {prune: filters, keep_macs: 0.5, widths: latency, repair: true, iterations: 0}\n')
    status, said = report_in(clone, '--extend')
    assert status == 0, said
    ran = set(re.findall(r'^(\S+): running$', said, re.M))
    # its widths are those of the committed records
    assert ran == {'filters-macs-0.5-l1-latency-repair-s0', 'speed'}, said
    there, before = ({path.stem for path in (clone/'data'/folder).glob('*.json')}
                     for folder in ('runs/smoke/records', 'records/smoke'))
    assert there - before == {f'filters-macs-0.5-l1-latency-repair-s0-{stage}' for stage in ('pruned', 'repaired')}


@pytest.mark.parametrize('notebook', AFTER_REPORT, ids=lambda path: path.stem)
def test_notebook_of_an_experiment(built, notebook): run_notebook(notebook)
