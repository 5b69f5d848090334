"Other families of networks do what BasicVSR does"
import numpy as np
import pytest
import torch

from vsrprune import checkpoints, cost
from vsrprune.basicvsr import BasicVSR, Plan
from vsrprune.calibration import calibration_clips
from vsrprune.datasets import stills
from vsrprune.evaluation import evaluate_file, explain_file
from vsrprune.fast import Fast
from vsrprune.filters import prune_filters
from vsrprune.frames import read_clip, write_clip
from vsrprune.groups import groups, remove, zeroed
from vsrprune.networks import restore
from vsrprune.realbasicvsr import RealBasicVSR, RealPlan
from vsrprune.streaming import Finite, StreamCost, upscale, upscale_file
from vsrprune.training import Teacher, finetune, finetuning_recipe


@pytest.fixture(autouse=True, scope='module')
def one_thread():
    "Other tests run beside these, and threads that wait for each other take many times as long"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def real():
    "A RealBasicVSR whose cleaning and flows show"
    torch.manual_seed(0)
    narrow = ((4, 4, 4, 4),)*6
    net = RealBasicVSR(RealPlan.dense(8, 2, 2, tail=8, flow=narrow)).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if name.endswith('bias'): p.uniform_(-0.05, 0.05)
    return net


@pytest.fixture(scope='module', params=[real], ids=lambda made: made.__name__)
def net(request): return request.param()


@pytest.fixture(scope='module')
def pairs(): return stills()[:3]


@pytest.fixture(scope='module')
def clips(pairs): return calibration_clips(pairs, 2, 3, 32)


@pytest.fixture
def file(net, tmp_path): return checkpoints.save(net, tmp_path/'net.safetensors')


def difference(a, b): return (a - b).abs().max().item()


def test_removing_filters_is_zeroing_them(net, clips):
    gone = {group.name: [0, group.width - 1] for group in groups(net)}
    assert difference(remove(net, gone)(clips[0]), zeroed(net, gone)(clips[0])) < 1e-5


def test_every_layer_but_the_last_of_each_stage_can_be_pruned(net):
    found = {layer for group in groups(net) for layer in group.writers}
    layers = {name for name, module in net.named_modules() if isinstance(module, torch.nn.Conv2d)}
    fixed = {name for name in layers - found if 'spynet' not in name}
    assert fixed == {'conv_last', 'cleaning.last'}


def test_filters_are_pruned_and_repaired(net, clips):
    plain, repaired = (prune_filters(net, target='macs=0.6', clips=clips, criterion='l1', repair=repaired)[0]
                       for repaired in (False, True))
    assert plain.plan == repaired.plan and cost.macs(plain, (64, 96)).network < 0.62*cost.macs(net, (64, 96)).network
    lost, left = ((network(clips[0]) - net(clips[0])).square().mean() for network in (plain, repaired))
    assert left < lost


def test_it_is_finetuned_with_a_teacher(net, pairs):
    small, report = prune_filters(net, 0.3)
    small.requires_grad_()
    before = {name: p.clone() for name, p in small.named_parameters()}
    left = report.set_index('group').left
    teacher = Teacher(net, small, {trunk: left[layer] for trunk, layer in net.state_layers.items()})
    recipe = teacher.recipe(finetuning_recipe(2, batch=1, frames=3, size=16))
    assert len(finetune(small, pairs, recipe, teacher=teacher, progress=False)) == 2
    learned = {name for name, p in small.named_parameters() if not torch.equal(p, before[name])}
    assert not any('spynet' in name for name in learned) and any(name.startswith('cleaning.') for name in learned)


def test_it_comes_back_from_its_file(net, file):
    again = checkpoints.load(file)
    assert type(again) is type(net) and again.plan == net.plan
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), net.state_dict().values()))


def test_its_file_is_explained(net, file):
    about = explain_file(file)
    assert about['network'] == type(net).__name__ and about['kind'] == 'dense'


def test_cleaning_is_counted():
    net, plain = RealBasicVSR(RealPlan.dense(8, 2, 3)), BasicVSR(Plan.dense(8, 2))
    weights = sum(p.numel() for name, p in net.cleaning.named_parameters() if name.endswith('weight'))
    assert cost.macs(net, (36, 64)).network - cost.macs(plain, (36, 64)).network == 36*64*weights


def test_it_runs_fast(net, clips):
    clip = clips[0][:1]
    assert difference(Fast(net)(clip), net(clip)) < 1e-5
    assert difference(Fast(net, tile=8)(clip), net(clip)) < 1e-5


@pytest.mark.parametrize('options', [dict(segment=1), dict(segment=3), dict(segment=3, tile=16)], ids=str)
def test_it_streams_as_in_one_pass(net, pairs, options):
    clip = pairs[0].lq()
    assert np.abs(np.stack([*upscale(net, clip, **options)]).astype(int) - restore(net, clip)).max() <= 1


def test_each_frame_is_cleaned_once(net, pairs, monkeypatch):
    cleaned = []
    act = Finite.clean
    monkeypatch.setattr(Finite, 'clean', lambda self, frame: cleaned.append(1) or act(self, frame))
    clip, spent = pairs[0].lq(), StreamCost()
    list(upscale(net, clip, segment=len(clip), cost=spent))
    assert len(cleaned) == len(clip) == spent.frames


def test_a_video_is_upscaled_by_its_file(net, file, pairs, tmp_path):
    clip = pairs[0].lq()[:3]
    write_clip(clip, tmp_path/'small')
    upscale_file(tmp_path/'small', tmp_path/'large', file)
    assert np.abs(read_clip(tmp_path/'large').astype(int) - restore(net, clip)).max() <= 1


def test_its_file_is_scored(file):
    assert evaluate_file(file, 'stills', frames=2).network.psnr > 5
