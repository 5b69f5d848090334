"A network of another make, in tests/tiny_family.py, does whatever BasicVSR does, with no line of vsrprune changed"
import importlib.util

import numpy as np
import pytest
import torch
from tiny_family import TinyPlan, TinyVSR

from vsrprune import checkpoints, cost
from vsrprune.calibration import calibration_clips
from vsrprune.datasets import stills
from vsrprune.evaluation import evaluate_file, explain_file, fast_restore, plan_of, width_bars
from vsrprune.export import OnnxVSR, export_file
from vsrprune.fast import Fast
from vsrprune.filters import prune_filters
from vsrprune.groups import groups, remove, zeroed
from vsrprune.metrics import evaluate
from vsrprune.networks import restore, to_tensor
from vsrprune.shrink import shrink
from vsrprune.streaming import upscale, upscale_file
from vsrprune.frames import read_clip, write_clip
from vsrprune.training import Teacher, finetune, finetuning_recipe
from vsrprune.weights import prune_weights, repair_weights, sparsity


@pytest.fixture(autouse=True, scope='module')
def one_thread():
    "Other tests run beside these, and threads that wait for each other take many times as long"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def net():
    torch.manual_seed(0)
    return TinyVSR().eval().requires_grad_(False)


@pytest.fixture(scope='module')
def pairs(): return stills()[:3]


@pytest.fixture(scope='module')
def clips(pairs): return calibration_clips(pairs, 2, 3, 32)


@pytest.fixture
def file(net, tmp_path): return checkpoints.save(net, tmp_path/'tiny.safetensors')


def difference(a, b): return (a - b).abs().max().item()


def test_its_parts_are_known(net):
    assert {g.name: g.part for g in groups(net)} == {
        'backward_trunk.enter': 'inner', 'backward_trunk.leave': 'stream',
        'forward_trunk.enter': 'inner', 'forward_trunk.leave': 'stream', 'gather': 'tail'}


def test_removing_filters_is_zeroing_them(net, clips):
    for group in groups(net):
        gone = {group.name: [0, 2]}
        assert difference(remove(net, gone)(clips[0]), zeroed(net, gone)(clips[0])) < 1e-5


@pytest.mark.parametrize('criterion', ['l1', 'reconstruction'])
def test_filters_are_pruned_and_repaired(net, clips, criterion):
    plain, repaired = (prune_filters(net, target='macs=0.5', criterion=criterion, clips=clips, repair=repaired)[0]
                       for repaired in (False, True))
    assert 0.35 < cost.macs(plain, (64, 96)).network/cost.macs(net, (64, 96)).network < 0.55
    lost, left = ((network(clips[0]) - net(clips[0])).square().mean() for network in (plain, repaired))
    assert left < lost


def test_only_one_part_is_pruned(net):
    small, _ = prune_filters(net, 0.5, parts=('inner',))
    assert small.plan == TinyPlan(inner=5)


def test_weights_are_pruned_and_repaired(net, clips):
    small = TinyVSR(net.plan).eval()
    small.load_state_dict(net.state_dict())
    masks = prune_weights(small, 0.5)
    repaired, _ = repair_weights(small, net, masks, clips[0])
    assert sparsity(small) == pytest.approx(0.5, abs=0.01) == sparsity(repaired)
    assert (repaired(clips[0]) - net(clips[0])).square().mean() < (small(clips[0]) - net(clips[0])).square().mean()


def test_it_is_finetuned_with_a_teacher(net, pairs):
    small, report = prune_filters(net, 0.3)
    before = small(torch.ones(1, 3, 3, 16, 16))
    left = report.set_index('group').left
    teacher = Teacher(net, small, {trunk: left[layer] for trunk, layer in net.state_layers.items()})
    recipe = finetuning_recipe(3, batch=1, frames=3, size=16)
    curve = finetune(small, pairs, recipe, teacher=teacher, progress=False)
    assert len(curve) == 3 and difference(small(torch.ones(1, 3, 3, 16, 16)), before) > 0


def test_it_comes_back_from_its_file(net, file):
    again = checkpoints.load(file)
    assert type(again) is TinyVSR and again.plan == net.plan
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), net.state_dict().values()))


def test_its_file_is_explained(file):
    about = explain_file(file)
    assert about['network'] == 'TinyVSR' and about['macs'] > about['macs_flow'] > 0
    assert [name for name, _, _ in width_bars(plan_of(about))] == ['trunks state', 'trunks inner', 'end wide']


def test_a_family_that_is_not_known_is_named(file):
    from vsrprune.files import InputError
    from vsrprune.networks import FAMILIES
    family = FAMILIES.pop('TinyVSR')
    try:
        with pytest.raises(InputError, match="unknown network 'TinyVSR'"): checkpoints.load(file)
    finally: FAMILIES['TinyVSR'] = family


def test_it_runs_fast(net, clips):
    clip = clips[0][:1]
    assert difference(Fast(net)(clip), net(clip)) < 1e-5


def test_it_streams_as_in_one_pass(net, pairs):
    clip = pairs[0].lq()
    whole = restore(net, clip)
    for segment in (1, 3): assert np.abs(np.stack([*upscale(net, clip, segment)]).astype(int) - whole).max() <= 1


def test_a_video_is_upscaled_by_its_file(net, file, pairs, tmp_path):
    clip = pairs[0].lq()[:3]
    write_clip(clip, tmp_path/'small')
    upscale_file(tmp_path/'small', tmp_path/'large', file)
    assert np.abs(read_clip(tmp_path/'large').astype(int) - restore(net, clip)).max() <= 1


def test_it_is_scored(net, pairs):
    methods = fast_restore(net), lambda lq: restore(net, lq)
    scores = [evaluate(method, pairs, 'stills', temporal=False).psnr for method in methods]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)


def test_its_file_is_scored(file):
    assert evaluate_file(file, 'stills', frames=2).network.psnr > 10


@pytest.mark.skipif(importlib.util.find_spec('onnxruntime') is None, reason='onnxruntime is not installed')
def test_it_is_exported(net, file, pairs, tmp_path):
    export_file(file, tmp_path/'onnx')
    clip = to_tensor(pairs[0].lq()[:3])
    assert difference(OnnxVSR(tmp_path/'onnx')(clip), net(clip)) < 1e-3


def test_it_is_shrunk_to_a_target(pairs):
    wide = TinyVSR(TinyPlan(state=24, inner=32, wide=32)).eval()      # the search takes channels away by the eight
    found = shrink(wide, pairs[:2], pairs[2:], 'macs=0.5', iterations=2, size=(32, 48), batch=1, frames=2, crop=32)
    assert isinstance(found.model, TinyVSR) and 0.35 < found.macs < 0.55
