# The report of a profile as a graph of notebooks: what is there already, and whose inputs have not changed, is not run again.
# Run by `make report PROFILE=default`; by hand: snakemake --cores all --config profile=default
# Other settings: checkpoint=FILE (the dense network, where the profile names none), kept=true (build from the records in data/records), extend=true (what is there was made before the profile grew).
import re
import shlex
import sys
from pathlib import Path

from vsrprune.catalogue import locate
from vsrprune.profiles import ABLATED, Profile
from vsrprune.records import record_name

P = Profile.load(config.get('profile', 'default'))
NAME = P.name
RUNS, TABLES, FIGURES = f'data/runs/{NAME}', f'paper/tables/{NAME}', f'figures/{NAME}'
PROFILE = f'data/profiles/{NAME}.yaml'
KEPT = f'data/records/{NAME}' if config.get('kept') else ''
CHECKPOINT = config.get('checkpoint') or P.checkpoint and str(locate(P.checkpoint) or P.checkpoint) or ''
# the executed notebook is the log of its rule: it stays when a cell fails, with a red mark where
VSRPRUNE = shlex.quote(str(Path(sys.executable).with_name('vsrprune')))
RUN = f'OMP_NUM_THREADS={{threads}} {VSRPRUNE} notebook {{rule}} {{log}} profile={NAME}'

def record(name): return f'{RUNS}/records/{name}.json'
def notebook(name, suffix): return f'{RUNS}/notebooks/{name}.{suffix}'
def weights(name): return f'{RUNS}/weights/{name}.safetensors'

BENCHMARKS = [p for p in ('data/benchmarks/upscale-cpu.json', 'data/benchmarks/upscale-cuda.json') if Path(p).exists()]     # kept, whatever the profile
LEVELS = [p for p in (f'data/benchmarks/levels-{NAME}.json',) if Path(p).exists()]
BESIDE = [f'data/records/{P.beside}/{name}.json' for name in Profile.load(P.beside).record_names] if P.beside else []
SCAN = [p for p in (f'data/benchmarks/sensitivity-{NAME}.csv',) if Path(p).exists()]
TABLE_FILES = expand(f'{TABLES}/{{name}}.tex', name=('unstructured', 'structured', 'ablation', 'claims', 'numbers', *['sweep']*bool(P.sweep), *['weights']*bool(P.weights), *['aware']*bool(P.aware), *['beside-aware']*bool(P.beside), *['upscale']*any('upscale-cpu' in p for p in BENCHMARKS), *['levels', 'level-drops']*bool(LEVELS)))
FIGURE_FILES = expand(f'{FIGURES}/{{name}}.{{suffix}}', name=('figure1', 'figure2', 'figure4', 'figure5', *['figure6', 'figure7']*bool(P.sweep), *['figure8']*bool(P.weights), *['figure9']*bool(P.aware), *['figure10']*bool(SCAN), *['figure11']*bool(LEVELS)), suffix=('pdf', 'png'))
CROPS = expand(f'{FIGURES}/figure3.{{suffix}}', suffix=('pdf', 'png'))     # shows what networks restore, so it is not made from records
DENSE = [record('dense-s0-dense'), record('bicubic-s0-dense')]
STRUCTURED = 'structured-l1-{ratio}-s{seed}-'
BOTH = ('pruned', 'finetuned')
def trial_of(wildcards):
    line = P.removal(wildcards.removal)
    return [f'{RUNS}/trials/{line.briefly.name}.json'] if len(P.finetuning.lr) > 1 and line.iterations != 0 else []
def shorter(wildcards):
    "What a line begins with that is fine-tuned once more"
    line = P.removal(wildcards.removal)
    return [weights(f'structured-{line.briefly.name}-s{wildcards.seed}-finetuned')] if P.once_more(line.iterations) else []
def again(name):
    "The trials of a second training"
    return [f'{RUNS}/trials/again-{name}.json']*bool(P.finetuning.again and name in P.trained_twice)
def begins_again(wildcards):
    "What a second training begins with, of the first seed; that of pruning-aware lines comes of the trial itself"
    line, seed = P.trained_twice[wildcards.name], P.seeds[0]
    if line is None: return weights(f'dense-s{seed}-finetuned')
    if line in P.aware: return [weights('dense'), f'{RUNS}/plans/{line.plan}.json', *TRIALS]
    return [weights(f'structured-{line.briefly.name}-s{seed}-finetuned'), f'{RUNS}/plans/{line.plan}.json']
TRIALS = expand(f'{RUNS}/trials/lr-{{lr}}.json', lr=[f'{lr:g}' for lr in P.finetuning.lr] if len(P.finetuning.lr) > 1 else [])
RECORDS = [f'{KEPT}/{name}.json' for name in P.record_names] if KEPT else [*map(record, P.record_names), f'{RUNS}/benchmarks/speed.json']
FROM = f' records={KEPT}' if KEPT else ''

# what is fine-tuned once more was fine-tuned before, whether that is a line of its own or not
SWEEP = {r.name: r for r in (*P.sweep, *(r.briefly for r in P.sweep if P.once_more(r.iterations)))}.values()
def lines(*stages): return '|'.join(re.escape(r.name) for r in SWEEP if r.stages == stages) or 'none'
def left_behind(*stages):
    names = [f'structured-{{removal}}-s{{seed}}-{stage}' for stage in stages]
    return [*map(record, names), *map(weights, names), notebook('removal-{removal}-s{seed}', 'html')]

# quick, and TeX need not be on every node of a cluster
localrules: tables, figures, paper

wildcard_constraints:
    ratio = r'[0-9.e-]+',
    seed = r'[0-9]+',
    lr = r'[0-9.e-]+',
    iterations = r'[0-9]+',
    plan = r'[0-9.]+-[a-z0-9.-]+',
    removal = r'macs-[a-z0-9.-]+?',
    line = r'macs-[a-z0-9.-]+?',
    part = '|'.join(ABLATED)

# Records are named too: Snakemake does not miss what was deleted while a product made of it is there.
rule all:
    input: f'paper/report-{NAME}.pdf', TABLE_FILES, FIGURE_FILES, CROPS, RECORDS

rule without_pdf:
    input: TABLE_FILES, FIGURE_FILES, CROPS, RECORDS

rule records:
    input: RECORDS

rule baseline:
    input: 'nbs/experiments/baseline.ipynb', ancient(PROFILE) if config.get('extend') else PROFILE, CHECKPOINT or []     # a profile that has grown has the same dense network
    output: DENSE, weights('dense'), notebook('baseline', 'html')
    log: notebook('baseline', 'ipynb')
    threads: workflow.cores
    params: checkpoint = shlex.quote(f'checkpoint={Path(CHECKPOINT).resolve()}') if CHECKPOINT else ''
    shell: RUN + ' {params.checkpoint}'

# From here one thread a run: two small networks side by side gain more from two cores than one network does.
rule learning_rate:
    input: 'nbs/experiments/learning_rate.ipynb', weights('dense')
    output: f'{RUNS}/trials/lr-{{lr}}.json', notebook('learning_rate-{lr}', 'html')
    log: notebook('learning_rate-{lr}', 'ipynb')
    shell: RUN + ' lr={wildcards.lr} progress=true'

rule dense_finetuned:
    input: 'nbs/experiments/dense_finetuned.ipynb', weights('dense'), TRIALS
    output: record('dense-s{seed}-finetuned'), weights('dense-s{seed}-finetuned'), notebook('dense_finetuned-s{seed}', 'html')
    log: notebook('dense_finetuned-s{seed}', 'ipynb')
    shell: RUN + ' seed={wildcards.seed} progress=true'

rule dense_longer:
    input: 'nbs/experiments/dense_finetuned.ipynb', weights('dense'), TRIALS, lambda wildcards: [weights(f'dense-s{wildcards.seed}-finetuned')]*P.once_more(int(wildcards.iterations)), lambda wildcards: again(f'dense-{wildcards.iterations}')
    output: record('dense-{iterations}-s{seed}-finetuned'), notebook('dense_longer-{iterations}-s{seed}', 'html')
    log: notebook('dense_longer-{iterations}-s{seed}', 'ipynb')
    shell: RUN.replace('{rule}', 'dense_finetuned') + ' iterations={wildcards.iterations} seed={wildcards.seed} progress=true'

# Weights set to zero; what a method leaves behind depends on whether it repairs, and whether it prunes at once.
def zeroed(*stages):
    names = [f'unstructured-{{zeroing}}-{{ratio}}-s{{seed}}-{stage}' for stage in stages]
    return [*map(record, names), *map(weights, names), notebook('unstructured-{zeroing}-{ratio}-s{seed}', 'html')]
def methods(*stages): return '|'.join(sorted({re.escape(z.name) for z in P.zeroings if z.stages == stages})) or 'none'

rule unstructured:
    input: 'nbs/experiments/unstructured.ipynb', weights('dense'), TRIALS
    output: zeroed('pruned', 'finetuned')
    wildcard_constraints: zeroing = methods('pruned', 'finetuned')
    log: notebook('unstructured-{zeroing}-{ratio}-s{seed}', 'ipynb')
    shell: RUN.replace('{rule}', 'unstructured') + ' method={wildcards.zeroing} ratio={wildcards.ratio} seed={wildcards.seed} progress=true'

use rule unstructured as unstructured_repaired with:
    output: zeroed('pruned', 'repaired', 'finetuned')
    wildcard_constraints: zeroing = methods('pruned', 'repaired', 'finetuned')

use rule unstructured as unstructured_gradual with:
    output: zeroed('finetuned')
    wildcard_constraints: zeroing = methods('finetuned')

rule structured:
    input: 'nbs/experiments/structured.ipynb', weights('dense'), TRIALS
    output:
        [record(STRUCTURED + stage) for stage in BOTH], [weights(STRUCTURED + stage) for stage in BOTH],
        notebook('structured-{ratio}-s{seed}', 'html')
    log: notebook('structured-{ratio}-s{seed}', 'ipynb')
    shell: RUN + ' ratio={wildcards.ratio} seed={wildcards.seed} progress=true'

# The widths that several lines of the sweep share. They may depend on the clock, so nothing runs beside.
rule widths:
    input: 'nbs/experiments/widths.ipynb', weights('dense')
    output: f'{RUNS}/plans/{{plan}}.json', notebook('widths-{plan}', 'html')
    log: notebook('widths-{plan}', 'ipynb')
    threads: workflow.cores
    params: removal = lambda wildcards: next(r.name for r in (*P.sweep, *(a.plain for a in P.aware)) if r.plan == wildcards.plan)
    shell: RUN + ' removal={params.removal}'

rule learning_rate_of:
    input: 'nbs/experiments/learning_rate_of.ipynb', lambda wildcards: f'{RUNS}/plans/{P.removal(wildcards.removal).plan}.json'
    output: f'{RUNS}/trials/{{removal}}.json', notebook('learning_rate_of-{removal}', 'html')
    log: notebook('learning_rate_of-{removal}', 'ipynb')
    shell: RUN + ' removal={wildcards.removal} progress=true'

rule learning_rate_again:
    input: 'nbs/experiments/learning_rate_again.ipynb', begins_again
    output: f'{RUNS}/trials/again-{{name}}.json', notebook('learning_rate_again-{name}', 'html')
    wildcard_constraints: name = '|'.join(map(re.escape, P.trained_twice)) or 'none'
    log: notebook('learning_rate_again-{name}', 'ipynb')
    params: rates = P.finetuning.again     # another list is tried anew
    shell: RUN + ' network={wildcards.name} progress=true'

# A line of the sweep; what it leaves behind depends on whether it repairs and how long it trains.
rule removal:
    input: 'nbs/experiments/removal.ipynb', trial_of, lambda wildcards: f'{RUNS}/plans/{P.removal(wildcards.removal).plan}.json'
    output: left_behind('pruned', 'finetuned')
    wildcard_constraints: removal = lines('pruned', 'finetuned')
    log: notebook('removal-{removal}-s{seed}', 'ipynb')
    shell: RUN.replace('{rule}', 'removal') + ' removal={wildcards.removal} seed={wildcards.seed} progress=true'

use rule removal as removal_repaired with:
    output: left_behind('pruned', 'repaired', 'finetuned')
    wildcard_constraints: removal = lines('pruned', 'repaired', 'finetuned')

use rule removal as removal_longer with:
    input: 'nbs/experiments/removal.ipynb', trial_of, lambda wildcards: f'{RUNS}/plans/{P.removal(wildcards.removal).plan}.json', shorter, lambda wildcards: again(f'structured-{wildcards.removal}')
    output: left_behind('finetuned')
    wildcard_constraints: removal = lines('finetuned')

use rule removal as removal_untrained with:
    output: left_behind('pruned')
    wildcard_constraints: removal = lines('pruned')

use rule removal as removal_untrained_repaired with:
    output: left_behind('pruned', 'repaired')
    wildcard_constraints: removal = lines('pruned', 'repaired')

# Pruning-aware training; what a line leaves behind depends on whether it repairs.
def aware_lines(*stages): return '|'.join(re.escape(r.name) for r in P.aware if r.stages == stages) or 'none'
def aware_left(*stages):
    names = [f'pruning_aware-{{line}}-s{{seed}}-{stage}' for stage in stages]
    return [*map(record, names), *map(weights, names), notebook('aware-{line}-s{seed}', 'html')]
def aware_input(wildcards):
    line = P.awareness(wildcards.line)
    return [f'{RUNS}/plans/{line.plan}.json'] + [f'{RUNS}/trials/{line.plain.name}.json']*(len(P.finetuning.lr) > 1)

rule aware:
    input: 'nbs/experiments/aware.ipynb', weights('dense'), TRIALS, aware_input, lambda wildcards: again(f'pruning_aware-{wildcards.line}')
    output: aware_left('regularised', 'pruned', 'finetuned')
    wildcard_constraints: line = aware_lines('regularised', 'pruned', 'finetuned')
    log: notebook('aware-{line}-s{seed}', 'ipynb')
    shell: RUN.replace('{rule}', 'aware') + ' line={wildcards.line} seed={wildcards.seed} progress=true'

use rule aware as aware_repaired with:
    output: aware_left('regularised', 'pruned', 'repaired', 'finetuned')
    wildcard_constraints: line = aware_lines('regularised', 'pruned', 'repaired', 'finetuned')

# The control: widths of a line of the sweep, trained from nothing by the recipe of the dense network.
CONTROLS = {record_name('scratch', 'finetuned', options).removesuffix('-s0-finetuned'): line for line, options in P.controls.items()}
rule scratch:
    input: 'nbs/experiments/scratch.ipynb', TRIALS, lambda wildcards: f'{RUNS}/plans/{P.removal(CONTROLS[wildcards.control]).plan}.json'
    output: record('{control}-s{seed}-finetuned'), weights('{control}-s{seed}-finetuned'), notebook('{control}-s{seed}', 'html')
    wildcard_constraints: control = '|'.join(map(re.escape, CONTROLS)) or 'none'
    log: notebook('{control}-s{seed}', 'ipynb')
    params: line = lambda wildcards: CONTROLS[wildcards.control]
    shell: RUN.replace('{rule}', 'scratch') + ' removal={params.line} seed={wildcards.seed} progress=true'

rule ablation:
    input: 'nbs/experiments/ablation.ipynb', weights('dense')
    output: [record(f'structured-l1-{{part}}-{ratio:g}-s{P.seeds[0]}-pruned') for ratio in P.ablation], notebook('ablation-{part}', 'html')
    log: notebook('ablation-{part}', 'ipynb')
    shell: RUN + ' part={wildcards.part}'

# Timing is alone on the machine: it waits for all cores, so nothing else of the report runs beside it.
rule speed:
    input: 'nbs/experiments/speed.ipynb', map(record, P.record_names)
    output: f'{RUNS}/benchmarks/speed.json', notebook('speed', 'html')
    log: notebook('speed', 'ipynb')
    threads: workflow.cores
    shell: RUN

rule tables:
    input: 'nbs/experiments/tables.ipynb', 'data/paper.json', 'vsrprune/results.py', PROFILE, RECORDS, BENCHMARKS, LEVELS, BESIDE
    output: TABLE_FILES, notebook('tables', 'html')
    log: notebook('tables', 'ipynb')
    shell: RUN + FROM

rule figures:
    input: 'nbs/experiments/figures.ipynb', 'data/paper.json', 'vsrprune/results.py', PROFILE, RECORDS, SCAN, LEVELS
    output: FIGURE_FILES, notebook('figures', 'html')
    log: notebook('figures', 'ipynb')
    shell: RUN + FROM

if not KEPT:
    rule qualitative:
        input: 'nbs/experiments/qualitative.ipynb', 'vsrprune/results.py', PROFILE, map(record, P.record_names)
        output: CROPS, notebook('qualitative', 'html')
        log: notebook('qualitative', 'ipynb')
        shell: RUN

# The epoch fixes the dates inside the PDF: the same records give the same bytes.
rule paper:
    input: 'paper/report.tex', 'paper/sweep.tex', 'paper/weights.tex', 'paper/aware.tex', 'paper/upscale.tex', 'paper/levels.tex', 'paper/beside.tex', 'paper/references.bib', [p for p in [f'paper/discussion-{NAME}.tex'] if Path(p).exists()], TABLE_FILES, FIGURE_FILES, CROPS
    output: f'paper/report-{NAME}.pdf'
    log: f'{RUNS}/latex.log'
    shell:
        'cd paper && SOURCE_DATE_EPOCH=0 FORCE_SOURCE_DATE=1 latexmk -pdf -outdir=build -jobname=report-{NAME} -usepretex="\\\\def\\\\profile{{{NAME}}}" '
        '-interaction=nonstopmode -halt-on-error report.tex > ../{log} 2>&1 || {{ grep -A3 -m1 "^!" ../{log} >&2; exit 1; }}; '
        'mv build/report-{NAME}.pdf .'
