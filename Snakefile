# The report of a profile as a graph of notebooks: what is there already, and whose inputs have not changed, is not run again.
# Run by `make report PROFILE=default`; by hand: snakemake --cores all --config profile=default
import shlex
import sys
from pathlib import Path

from vsrprune.experiments import Profile

P = Profile.load(config.get('profile', 'default'))
NAME = P.name
RUNS, TABLES, FIGURES = f'data/runs/{NAME}', f'paper/tables/{NAME}', f'figures/{NAME}'
PROFILE = f'data/profiles/{NAME}.yaml'
# the executed notebook is the log of its rule: it stays when a cell fails, with a red mark where
VSRPRUNE = shlex.quote(str(Path(sys.executable).with_name('vsrprune')))
RUN = f'OMP_NUM_THREADS={{threads}} {VSRPRUNE} notebook {{rule}} {{log}} profile={NAME}'

def record(name): return f'{RUNS}/records/{name}.json'
def notebook(name, suffix): return f'{RUNS}/notebooks/{name}.{suffix}'

TABLE_FILES = expand(f'{TABLES}/{{name}}.tex', name=('unstructured', 'numbers'))
FIGURE_FILES = expand(f'{FIGURES}/figure{{n}}.{{suffix}}', n=(1, 2), suffix=('pdf', 'png'))
DENSE = [record(f'dense-s{P.seeds[0]}-dense'), record('bicubic-s0-dense')]
DENSE_FINETUNED = record('dense-s{seed}-finetuned')
UNSTRUCTURED = [record(f'unstructured-{P.scope}-{{ratio}}-s{{seed}}-{stage}') for stage in ('pruned', 'finetuned')]
RECORDS = [record(name) for name in P.record_names]

rule all:
    input: f'paper/report-{NAME}.pdf'

rule without_pdf:
    input: TABLE_FILES, FIGURE_FILES

rule baseline:
    input: 'nbs/experiments/baseline.ipynb', PROFILE
    output: DENSE, f'{RUNS}/weights/dense.safetensors', notebook('baseline', 'html')
    log: notebook('baseline', 'ipynb')
    threads: workflow.cores
    shell: RUN + ' progress=true'

# From here one thread a run: two small networks side by side gain more from two cores than one network does.
rule dense_finetuned:
    input: 'nbs/experiments/dense_finetuned.ipynb', rules.baseline.output
    output: DENSE_FINETUNED, notebook('dense_finetuned-s{seed}', 'html')
    log: notebook('dense_finetuned-s{seed}', 'ipynb')
    shell: RUN + ' seed={wildcards.seed} progress=true'

rule unstructured:
    input: 'nbs/experiments/unstructured.ipynb', rules.baseline.output
    output: UNSTRUCTURED, notebook('unstructured-{ratio}-s{seed}', 'html')
    log: notebook('unstructured-{ratio}-s{seed}', 'ipynb')
    shell: RUN + ' ratio={wildcards.ratio} seed={wildcards.seed} progress=true'

rule tables:
    input: 'nbs/experiments/tables.ipynb', 'data/paper.json', 'vsrprune/results.py', RECORDS
    output: TABLE_FILES, notebook('tables', 'html')
    log: notebook('tables', 'ipynb')
    shell: RUN

rule figures:
    input: 'nbs/experiments/figures.ipynb', 'data/paper.json', 'vsrprune/results.py', RECORDS
    output: FIGURE_FILES, notebook('figures', 'html')
    log: notebook('figures', 'ipynb')
    shell: RUN

# The epoch fixes the dates inside the PDF: the same records give the same bytes.
rule paper:
    input: 'paper/report.tex', 'paper/references.bib', TABLE_FILES, FIGURE_FILES
    output: f'paper/report-{NAME}.pdf'
    log: f'{RUNS}/latex.log'
    shell:
        'cd paper && SOURCE_DATE_EPOCH=0 FORCE_SOURCE_DATE=1 latexmk -pdf -outdir=build -jobname=report-{NAME} -usepretex="\\\\def\\\\profile{{{NAME}}}" '
        '-interaction=nonstopmode -halt-on-error report.tex > ../{log} 2>&1 || {{ grep -A3 -m1 "^!" ../{log} >&2; exit 1; }}; '
        'mv build/report-{NAME}.pdf .'
