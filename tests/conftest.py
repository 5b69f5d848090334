"The last line of a run says how many tests passed and failed"
import pytest


def counts(config):
    stats = config.pluginmanager.get_plugin('terminalreporter').stats
    n = {name: len(stats.get(name, ())) for name in ('passed', 'failed', 'error')}
    return n['passed'], n['failed'] + n['error']


def pytest_sessionfinish(session):
    "A run in which nothing passed or failed is no success"
    if hasattr(session.config, 'workerinput'): return      # one of several processes; the first one counts
    passed, failed = counts(session.config)
    if not passed + failed: session.exitstatus = session.exitstatus or pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    if hasattr(config, 'workerinput'): return
    passed, failed = counts(config)
    print(f'{passed} passed, {failed} failed', flush=True)
