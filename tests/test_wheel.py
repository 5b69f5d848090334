"""The package as pip installs it: without the repository, and without what only the report and its tests need"""
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from runner import PATIENT, ROOT

# what `pip install vsrprune` leaves out, by the names under which Python imports it
LEFT_OUT = ['IPython', 'execnb', 'fastcore', 'ipykernel', 'matplotlib', 'nbconvert', 'nbdev', 'papermill', 'pytest',
            'rocrate', 'seaborn', 'skimage', 'snakemake', 'thop']
# runs the command line as a process that does not find them
MAIN = f'''
import sys
class LeftOut:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {LEFT_OUT}: raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, LeftOut())
from vsrprune.cli import app
app()
'''


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "Built from a copy of what it is made of, so that nothing is left behind in the repository"
    source, built = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('wheel')
    for name in ('setup.py', 'settings.ini', 'README.md', 'LICENSE'): shutil.copy(ROOT/name, source)
    for name in ('vsrprune', 'data/weights'): shutil.copytree(ROOT/name, source/name)
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation',
                    '--wheel-dir', built, source], check=True, capture_output=True)
    path, = built.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def folder(tmp_path_factory): return tmp_path_factory.mktemp('folder')


@pytest.fixture(scope='module')
def command(wheel, folder, tmp_path_factory):
    "Runs a command of the unpacked wheel in an empty folder: (exit status, what was printed)"
    site, home = (tmp_path_factory.mktemp(name) for name in ('site', 'home'))
    zipfile.ZipFile(wheel).extractall(site)
    where = os.environ | PATIENT | dict(PYTHONPATH=str(site), VSRPRUNE_CACHE=str(home), VSRPRUNE_DATA='')

    def run(words):
        done = subprocess.run([sys.executable, '-c', MAIN, *words.split()], cwd=folder, env=where,
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    return run


def works(command, words):
    status, said = command(words)
    assert status == 0, said
    return said


def test_it_holds_the_shipped_networks_their_cards_and_their_licence(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith('vsrprune/weights/')}
    shipped = [path for path in (ROOT/'data'/'weights').iterdir() if path.suffix in ('.md', '.safetensors')]
    assert inside == {f'vsrprune/weights/{path.name}' for path in shipped} | {'vsrprune/weights/LICENSE'}


def test_networks_are_listed(command):
    assert 'basicvsr-s-stills' in works(command, 'models')


def test_a_network_is_explained(command):
    assert 'multiply-accumulates' in works(command, 'info basicvsr-s-stills')


def test_a_network_is_converted(command, folder):
    works(command, 'convert basicvsr-s-stills -o copy.safetensors')
    assert (folder/'copy.safetensors').stat().st_size > 10**6


def test_a_clip_is_upscaled(command, folder):
    from PIL import Image
    clip, noise = folder/'clip', np.random.default_rng(0)
    clip.mkdir()
    for i in range(2): Image.fromarray(noise.integers(0, 256, (24, 32, 3), np.uint8)).save(clip/f'{i}.png')
    works(command, 'upscale clip -o large --model basicvsr-s-stills')
    assert [Image.open(path).size for path in (folder/'large').glob('*.png')] == [(128, 96)]*2


def test_a_clip_is_scored_and_the_record_lies_in_the_cache(command, folder):
    from PIL import Image
    clip, noise = folder/'sharp', np.random.default_rng(0)
    clip.mkdir()
    for i in range(2): Image.fromarray(noise.integers(0, 256, (64, 64, 3), np.uint8)).save(clip/f'{i}.png')
    said = works(command, 'eval --model basicvsr-s-stills --data sharp')
    assert '/data/runs/eval/basicvsr-s-stills-sharp.json' in said
    assert not (folder/'data').exists()


@pytest.mark.parametrize('words', ['report', 'train basicvsr-s-stills', 'notebook prune here.ipynb', 'site'])
def test_commands_of_the_report_say_that_they_need_the_repository(command, words):
    status, said = command(words)
    assert status == 1 and 'needs the repository' in said and 'Traceback' not in said, said


def test_what_needs_a_package_of_the_report_says_how_to_install_it(command):
    status, said = command('info basicvsr-s-stills --picture widths.png')
    assert status == 1 and "pip install 'vsrprune[report]'" in said and 'Traceback' not in said, said
