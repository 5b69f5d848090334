# The report of a profile: a loop over its runs. A run whose inputs and settings have not changed is not repeated.
# Run by `make report PROFILE=default`; by hand: snakemake --cores all --config profile=default
# Other settings: checkpoint=FILE (the dense network, where the profile names none), committed=true (products from the
# records in data/records), extend=true (only the records that are missing)
import shlex
import sys
from pathlib import Path

from vsrprune.catalogue import locate
from vsrprune.profiles import Profile
from vsrprune.steps import missing_runs

P = Profile.load(config.get('profile', 'default'))
COMMITTED, EXTEND = bool(config.get('committed')), bool(config.get('extend'))
CHECKPOINT = config.get('checkpoint') or P.checkpoint and str(locate(P.checkpoint) or P.checkpoint) or ''
VSRPRUNE = shlex.quote(str(Path(sys.executable).with_name('vsrprune')))
RUNS = missing_runs(P) if EXTEND else P.runs(CHECKPOINT, COMMITTED)
NOTEBOOKS = f'data/runs/{P.name}/notebooks'

# The epoch fixes the dates inside the PDF: the same records give the same bytes.
LATEX = (f'cd paper && SOURCE_DATE_EPOCH=0 FORCE_SOURCE_DATE=1 latexmk -pdf -outdir=build -jobname=report-{P.name} '
         f'-usepretex="\\\\def\\\\profile{{{P.name}}}" -interaction=nonstopmode -halt-on-error report.tex '
         f'> ../LOG 2>&1 || {{ grep -A3 -m1 "^!" ../LOG >&2; exit 1; }}; mv build/report-{P.name}.pdf .')


def command(run):
    "The shell command of a run; its executed notebook is its log, which stays when a cell fails, with a red mark where"
    if run.step == 'paper': return LATEX.replace('LOG', f'data/runs/{P.name}/latex.log')
    given = [f'profile={P.name}', f'run={run.name}']
    if run.step == 'dense' and CHECKPOINT: given.append(f'checkpoint={Path(CHECKPOINT).resolve()}')
    if run.step in ('aware', 'finetune'): given.append('progress=true')
    if COMMITTED and run.step in ('tables', 'figures'): given.append(f'records=data/records/{P.name}')
    return ' '.join([VSRPRUNE, 'notebook', run.step, f'{NOTEBOOKS}/{run.name}.ipynb', *map(shlex.quote, given)])


PRODUCTS = ('tables', 'figures', 'pictures', 'paper')
RECORDS = [path for run in RUNS if run.step not in PRODUCTS for path in run.makes]

# Records are named too: Snakemake does not miss what was deleted while a product made of it is there.
rule all:
    input: RECORDS, [path for run in RUNS for path in run.makes]

rule without_pdf:
    input: RECORDS, [path for run in RUNS if run.step != 'paper' for path in run.makes]

rule records:
    input: RECORDS

localrules: all, without_pdf, records

for run in RUNS:
    rule:
        name: run.rule
        input: run.needs, f'nbs/experiments/{run.step}.ipynb' if run.step != 'paper' else []
        output: run.makes, f'{NOTEBOOKS}/{run.name}.html' if run.step != 'paper' else []
        localrule: run.step in PRODUCTS
        # one thread a run: two small networks side by side gain more from two cores than one network does
        threads: workflow.cores if run.exclusive else 1
        params: command=lambda _, run=run: command(run), settings=P.settings_key      # a function: braces are LaTeX's
        shell: 'OMP_NUM_THREADS={threads} {params.command}'
