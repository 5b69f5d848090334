"The site: its pages lead somewhere, load nothing from elsewhere, and work in a browser"
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import urlopen

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
# without these, Chromium looks for updates and for its own services at every start
QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync']
SHOWN = ['index.html', 'report-vid4.html', 'records-vid4.html', 'networks.html', 'gallery.html', 'notebooks.html',
         'reference.html', 'nbs/04_metrics.html', 'docs/commands.html']


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    "The site with the networks of the repository alone, and what was said while it was built"
    folder = tmp_path_factory.mktemp('built')
    env = os.environ | dict(VSRPRUNE_CACHE=str(folder/'cache'), OMP_NUM_THREADS='1')
    command = [Path(sys.executable).with_name('vsrprune'), 'site', '-o', folder/'site']
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder/'site', done.stderr


@pytest.fixture(scope='module')
def site(built): return built[0]


@pytest.fixture(scope='module')
def pages(site):
    return {path.relative_to(site): BeautifulSoup(path.read_text(encoding='utf-8'), 'html.parser')
            for path in site.rglob('*.html')}


def test_sphinx_has_nothing_to_complain_of(built):
    assert 'Sphinx:' not in built[1], built[1]


def test_it_is_small(site):
    assert sum(path.stat().st_size for path in site.rglob('*') if path.is_file()) < 30e6


def test_every_notebook_and_document_has_a_page(site):
    sources = [*ROOT.glob('nbs/**/*.ipynb'), *ROOT.glob('docs/*.md')]
    names = [path.relative_to(ROOT).with_suffix('.html') for path in sources if '.ipynb_checkpoints' not in path.parts]
    assert len(names) > 40 and all((site/name).is_file() for name in names)


def test_nothing_is_loaded_from_another_host(pages):
    loaded = [(str(path), tag.get('src') or tag.get('href')) for path, page in pages.items()
              for tag in page.find_all(['script', 'img', 'source', 'iframe', 'link', 'video'])]
    assert len(loaded) > 100 and not [found for found in loaded if re.match(r'(https?:)?//', found[1] or '')]


def test_links_inside_lead_somewhere(site, pages):
    places = {path: {tag['id'] for tag in page.find_all(id=True)} for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        for href in {tag['href'] for tag in page.find_all('a', href=True)}:
            url = urlparse(href)
            if url.scheme: continue
            target = Path(os.path.normpath(path.parent/unquote(url.path))) if url.path else path
            there = (site/target).exists() and (not url.fragment or target not in places
                                                or unquote(url.fragment) in places[target])
            if not there: broken.append((str(path), href))
    assert not broken


def test_no_id_is_given_twice(pages):
    for name in ('report-vid4.html', 'networks.html', 'gallery.html', 'records-vid4.html'):
        ids = [tag['id'] for tag in pages[Path(name)].article.find_all(id=True)]
        assert len(ids) == len(set(ids)), (name, sorted({one for one in ids if ids.count(one) > 1})[:5])


def test_pictures_have_an_alternative_text(pages):
    pictures = [(str(path), tag) for path, page in pages.items() for tag in page.article.find_all('img')]
    assert len(pictures) > 20 and not [found for found in pictures if not found[1].get('alt', '').strip()]


def test_the_report_has_the_numbers_of_the_paper(pages):
    told = set(re.findall(r'\d[\d.]*', pages[Path('report-vid4.html')].article.get_text(' ')))
    for table in (ROOT/'paper'/'tables'/'vid4').glob('*.tex'):
        if table.stem == 'numbers': continue
        text = re.sub(r'\\(begin|setlength|cmidrule|multicolumn)\S*', '', table.read_text(encoding='utf-8'))
        printed = set(re.findall(r'(?<![\w.])\d+\.\d+(?=\D)', text))
        assert printed and printed <= told, (table.name, printed - told)


@pytest.fixture(scope='module')
def browser():
    if not CHROMIUM: pytest.skip('needs Chromium: apt-get install chromium')
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, site):
    "A function from a page and the width of the screen to the page in the browser; errors and requests fail the test"
    faults, opened = [], []
    def watch(request):
        if not request.url.startswith(('file:', 'data:', 'blob:')): faults.append(request.url)

    def opening(name, width=1300):
        page = browser.new_page(viewport=dict(width=width, height=900))
        opened.append(page)
        page.on('console', lambda said: faults.append(said.text) if said.type == 'error' else None)
        page.on('pageerror', lambda error: faults.append(str(error)))
        page.on('request', watch)
        page.goto((site/name).as_uri(), wait_until='load')
        return page

    yield opening
    for page in opened: page.close()
    assert not faults


@pytest.mark.parametrize('width', [400, 1300])
def test_pages_open_and_fit_the_screen(open_page, width):
    wider = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
    assert {name: open_page(name, width).evaluate(wider) for name in SHOWN} == dict.fromkeys(SHOWN, 0)


def test_a_slider_moves_by_key_and_by_mouse(open_page):
    page = open_page('gallery.html')
    slider = page.locator('.compare input').first
    cut = 'pair => getComputedStyle(pair.querySelector(".after")).clipPath'
    pair = page.locator('.compare').first
    slider.focus()
    page.keyboard.press('End')
    assert '100%' in pair.evaluate(cut)
    box = slider.bounding_box()
    page.mouse.click(box['x'] + box['width']/4, box['y'] + box['height']/2)
    assert 20 < float(slider.input_value()) < 30 and f'{slider.input_value()}%' in pair.evaluate(cut)


def test_tables_sort_within_their_sections(open_page):
    page = open_page('report-vid4.html')
    table = page.locator('table.sortable').nth(1)
    read = 'table => [...table.tBodies].map(body => [...body.rows].map(row => row.cells[3].textContent.trim()))'
    before = table.evaluate(read)
    heading = table.locator('thead tr').last.locator('th').nth(3)
    heading.locator('button').press('Enter')
    after = table.evaluate(read)
    assert heading.get_attribute('aria-sort') == 'ascending'
    assert list(map(sorted, after)) == list(map(sorted, before)) and after != before
    assert after[0] == sorted(before[0], key=float)


def test_points_of_a_chart_say_what_they_are(open_page):
    point = open_page('networks.html').locator('figure.chart [tabindex]').first
    point.focus()
    assert re.search(r'\d+\.\d\d dB, [\d,]+ ms per frame', point.get_attribute('aria-label'))


def test_without_scripts_both_pictures_are_seen(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site/'gallery.html').as_uri())
    first, second = (page.locator('.compare img').nth(i).bounding_box() for i in (0, 1))
    context.close()
    assert first['x'] + first['width'] <= second['x'] and first['y'] == second['y']


def free_port():
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]


def fetched(url):
    with urlopen(url, timeout=5) as answer: return json.load(answer)


def wait(condition, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition(): return
        except OSError: pass      # the server is still starting
        time.sleep(0.5)
    raise AssertionError('it took too long')


@pytest.fixture
def lab(tmp_path):
    "JupyterLab on a copy of one notebook: its address, and the notebook"
    notebook = shutil.copy(ROOT/'nbs'/'04_metrics.ipynb', tmp_path)
    port, jupyter = free_port(), Path(sys.executable).with_name('jupyter')
    options = ['--allow-root', '--no-browser', f'--port={port}', '--IdentityProvider.token=',
               f'--notebook-dir={tmp_path}']
    env = os.environ | dict(JUPYTER_CONFIG_DIR=str(tmp_path/'config'), JUPYTER_RUNTIME_DIR=str(tmp_path/'runtime'),
                            OMP_NUM_THREADS='1')
    with subprocess.Popen([jupyter, 'lab', *options], env=env, stderr=subprocess.DEVNULL) as running:
        address = f'http://127.0.0.1:{port}'
        try:
            wait(lambda: fetched(f'{address}/api/status'))
            yield address, Path(notebook)
        finally: running.terminate()


def code_cells(notebook):
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    return [cell for cell in cells if cell['cell_type'] == 'code']


def test_a_notebook_runs_in_jupyterlab(browser, lab):
    address, notebook = lab
    page = browser.new_page(viewport=dict(width=1300, height=900))
    page.goto(f'{address}/lab/tree/{notebook.name}')

    def idle():
        sessions = fetched(f'{address}/api/sessions')
        return sessions and sessions[0]['kernel']['execution_state'] == 'idle'

    def saved():
        page.keyboard.press('Control+s')
        page.wait_for_timeout(1000)
        return idle() and all(cell['execution_count'] for cell in code_cells(notebook))

    wait(idle)
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.get_by_text('Run All Cells', exact=True).click()
    wait(saved)
    page.close()
    outputs = [output for cell in code_cells(notebook) for output in cell['outputs']]
    assert outputs and not [output for output in outputs if output['output_type'] == 'error']
