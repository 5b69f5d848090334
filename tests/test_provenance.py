"""The report of `vid4` as it is committed: its tables are rebuilt unchanged from its records, and every record descends
from a network of the catalogue"""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner import ROOT, shared_out

RECORDS = ROOT/'data'/'records'/'vid4'
TABLES = ROOT/'paper'/'tables'/'vid4'


@pytest.fixture(scope='module')
def records():
    from vsrprune.records import read_records
    return read_records(RECORDS)


def test_every_record_descends_from_the_network_of_the_profile(records):
    from vsrprune.profiles import Profile
    from vsrprune.provenance import origin_of
    assert {origin_of(record, records).name for record in records} == {Profile.load('vid4').checkpoint}


def test_the_tables_are_made_of_the_records(tmp_path):
    before = {path: path.read_text() for path in TABLES.glob('*.tex')}
    command = [str(Path(sys.executable).with_name('vsrprune')), 'notebook', 'tables', str(tmp_path/'tables.ipynb'),
               'profile=vid4', 'records=data/records/vid4']
    try:
        done = subprocess.run(command, cwd=ROOT, env=shared_out(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert {path: path.read_text() for path in TABLES.glob('*.tex')} == before
    finally:
        for path, text in before.items():
            if path.read_text() != text: path.write_text(text)


def test_the_crate_is_that_of_the_records():
    from vsrprune.profiles import Profile
    from vsrprune.provenance import CRATE, crate_of, entities
    profiles = [Profile.load(folder.name) for folder in sorted((ROOT/'data'/'records').glob('*/'))]
    assert entities(json.loads((ROOT/CRATE).read_text())) == entities(crate_of(profiles))
