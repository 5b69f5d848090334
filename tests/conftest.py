"The last line of a run says how many tests passed and failed"
import pytest


def counts(config):
    stats = config.pluginmanager.get_plugin('terminalreporter').stats
    n = {name: len(stats.get(name, ())) for name in ('passed', 'failed', 'error')}
    return n['passed'], n['failed'] + n['error']


def pytest_sessionfinish(session):
    "A run in which nothing passed or failed is no success"
    passed, failed = counts(session.config)
    if not passed + failed: session.exitstatus = session.exitstatus or pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    passed, failed = counts(config)
    print(f'{passed} passed, {failed} failed', flush=True)
