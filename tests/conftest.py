"Tests run side by side, those of the report or the site in a row; the last line says how many passed and failed"
import pytest
from xdist.scheduler import LoadScopeScheduling


class Rows(LoadScopeScheduling):
    "Any test beside any other, but those of the report, or of the site, in one process, one after the other"
    # not by the marks of pytest-xdist 3.8: pytest 9.2 does not let it name its groups
    def _split_scope(self, nodeid):
        return next((name for name in ('test_report', 'test_site') if name in nodeid), nodeid)


def pytest_configure(config):
    what = 'scores of published networks on whole clips; `make test-published` runs them'
    config.addinivalue_line('markers', f'published: {what}')


def pytest_xdist_make_scheduler(config, log): return Rows(config, log)


def counts(config):
    stats = config.pluginmanager.get_plugin('terminalreporter').stats
    n = {name: len(stats.get(name, ())) for name in ('passed', 'failed', 'error', 'skipped')}
    return n['passed'], n['failed'] + n['error'], n['skipped']


def pytest_sessionfinish(session):
    "A run in which nothing passed or failed is no success, except for published networks that cannot be fetched"
    if hasattr(session.config, 'workerinput'): return      # one of several processes; the first one counts
    passed, failed, skipped = counts(session.config)
    lacks_data = session.config.option.markexpr == 'published' and skipped
    if passed + failed or lacks_data: return
    session.exitstatus = session.exitstatus or pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    if hasattr(config, 'workerinput'): return
    passed, failed, _ = counts(config)
    print(f'{passed} passed, {failed} failed', flush=True)
