"""Other families of networks do what BasicVSR does: RealBasicVSR, BasicVSR++, EDVR, IconVSR, SwinIR, RBPN,
networks for single images that spandrel builds, and a toy architecture in tests/tiny_family.py, with no line of
vsrprune changed for it"""
import copy
import importlib.util

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from single_images import SKIPPED, made, spandrel
from tiny_family import TinyPlan, TinyVSR
from typer.testing import CliRunner

from vsrprune import checkpoints, cost
from vsrprune.basicvsr import BasicVSR, Plan
from vsrprune.basicvsrpp import BasicVSRPlusPlus, PlusPlan
from vsrprune.calibration import calibration_clips
from vsrprune.cli import app
from vsrprune.datasets import stills
from vsrprune.edvr import EDVR, EDVRPlan
from vsrprune.evaluation import evaluate_file, explain_file, fast_restore, plan_of, width_bars
from vsrprune.export import OnnxVSR, export_file
from vsrprune.fast import Fast
from vsrprune.files import InputError
from vsrprune.filters import prune_filters
from vsrprune.frames import read_clip, write_clip
from vsrprune.groups import fixed_layers, groups, remove, zeroed
from vsrprune.iconvsr import IconPlan, IconVSR
from vsrprune.images import image_network
from vsrprune.metrics import evaluate
from vsrprune.networks import FAMILIES, restore, to_tensor
from vsrprune.rbpn import RBPN, RBPNPlan
from vsrprune.realbasicvsr import RealBasicVSR, RealPlan
from vsrprune.shrink import shrink
from vsrprune.streaming import Finite, StreamCost, upscale, upscale_file
from vsrprune.swinir import SwinIR, SwinIRPlan
from vsrprune.training import Teacher, finetune, finetuning_recipe
from vsrprune.weights import prune_weights, repair_weights, sparsity


@pytest.fixture(autouse=True, scope='module')
def one_thread():
    "Other tests run beside these, and threads that wait for each other take many times as long"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny():
    torch.manual_seed(0)
    return TinyVSR().eval().requires_grad_(False)


def real():
    "A RealBasicVSR whose cleaning and flows show"
    torch.manual_seed(0)
    narrow = ((4, 4, 4, 4),)*6
    net = RealBasicVSR(RealPlan.dense(8, 2, 2, tail=8, flow=narrow)).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if name.endswith('bias'): p.uniform_(-0.05, 0.05)
    return net


def plusplus():
    "A BasicVSR++ whose offsets and masks differ from place to place"
    torch.manual_seed(0)
    plan = PlusPlan.dense(8, 1, tail=8, deformable_groups=2, ends=1, flow=((3, 3, 3, 3),)*6)
    net = BasicVSRPlusPlus(plan).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if name.endswith('bias'): p.uniform_(-0.05, 0.05)
        elif name.endswith('offset.6.weight'): p.normal_(0, 0.1)
    return net


def edvr():
    "An EDVR whose offsets are some pixels long"
    torch.manual_seed(0)
    plan = EDVRPlan.dense(8, 1, 1, window=3, attention=False, deformable_groups=2, tail=8)
    net = EDVR(plan).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if name.endswith('bias'): p.uniform_(-0.05, 0.05)
        if 'conv_offset' in name: p.normal_(std=0.1)
    return net


def swinir():
    "A SwinIR with windows in place and windows that are moved"
    torch.manual_seed(0)
    net = SwinIR(SwinIRPlan.dense(8, 1, 2, 4, side=4, tail=8)).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if name.endswith(('bias', 'table')): p.uniform_(-0.05, 0.05)
    return net


def icon():
    "An IconVSR whose offsets are some pixels long, and of whose first three frames one is no keyframe"
    torch.manual_seed(0)
    plan = IconPlan.dense(8, 1, tail=8, window=3, stride=2, deformable_groups=2, extraction_blocks=1,
                          flow=((3, 3, 3, 3),)*6)
    net = IconVSR(plan).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if name.endswith('bias'): p.uniform_(-0.05, 0.05)
        if 'conv_offset' in name: p.normal_(std=0.1)
    return net


def rbpn():
    "An RBPN whose slopes differ"
    torch.manual_seed(0)
    net = RBPN(RBPNPlan.dense(8, 4, 1, window=3)).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if name.endswith('bias'): p.uniform_(-0.05, 0.05)
        if name.endswith('act.weight'): p.uniform_(-0.2, 0.5)
    return net


def images():
    "A Compact, which spandrel makes"
    return image_network(made('Compact', num_feat=8, num_conv=2).state_dict(), 'compact.pth')


MADE = dict(tiny=tiny(), real=real(), plusplus=plusplus(), edvr=edvr(), icon=icon(), swinir=swinir(), rbpn=rbpn())
only_tiny, only_real, only_plusplus, only_edvr, only_icon, only_swinir, only_rbpn = (
    pytest.mark.parametrize('net', [name], indirect=True) for name in MADE)
IMAGES = pytest.param('images', marks=pytest.mark.skipif(not spandrel, reason=SKIPPED))
if spandrel: MADE['images'] = images()
only_images = pytest.mark.parametrize('net', [IMAGES], indirect=True)


@pytest.fixture(params=[*[name for name in MADE if name != 'images'], IMAGES])
def net(request): return MADE[request.param]


@pytest.fixture(scope='module')
def pairs(): return stills()[:3]


@pytest.fixture(scope='module')
def clips(pairs): return calibration_clips(pairs, 2, 3, 32)


@pytest.fixture
def few(net, clips):
    "Clips to repair on; where there is no way of its own, each layer takes a pass of the whole network"
    if len(net.trunks) <= 2 and not net.takes_flows: return clips
    return tuple(side[:1, :2, :, :side.shape[3]//2, :side.shape[4]//2] for side in clips)


@pytest.fixture
def file(net, tmp_path): return checkpoints.save(net, tmp_path/'net.safetensors')


def difference(a, b): return (a - b).abs().max().item()


def lost(small, net, clips): return (small(clips[0]) - net(clips[0])).square().mean()


@only_tiny
def test_its_parts_are_known(net):
    assert {g.name: g.part for g in groups(net)} == {
        'backward_trunk.enter': 'inner', 'backward_trunk.leave': 'stream',
        'forward_trunk.enter': 'inner', 'forward_trunk.leave': 'stream', 'gather': 'tail'}


@only_real
def test_every_layer_but_the_last_of_each_stage_can_be_pruned(net):
    found = {layer for group in groups(net) for layer in group.writers}
    layers = {name for name, module in net.named_modules() if isinstance(module, torch.nn.Conv2d)}
    fixed = {name for name in layers - found if 'spynet' not in name}
    assert fixed == {'conv_last', 'cleaning.last'}


@only_plusplus
def test_what_deformable_groups_read_keeps_its_width(net):
    branches = ('backward_1', 'forward_1', 'backward_2', 'forward_2')
    fixed = {f'{name}.{layer}' for name in branches for layer in ('align.offset.6', 'align.conv', 'first',
                                                                  'blocks.0.conv2')}
    assert {name for name in fixed_layers(net) if 'spynet' not in name} == {'conv_last', *fixed}


@only_edvr
def test_what_is_looked_up_by_group_keeps_its_width(net):
    assert {'conv_first', 'conv_l2_2', 'conv_l3_2', 'pcd_align.feat_conv.l1'} <= set(fixed_layers(net))


@only_swinir
def test_what_normalisation_reads_keeps_its_width_and_heads_can_go(net):
    blocks = [f'layers.0.blocks.{i}.{layer}' for i in range(2) for layer in ('q', 'fc1')]
    assert [g.name for g in groups(net)] == [*blocks, 'conv_before_upsample', 'upconv1', 'upconv2']
    assert remove(net, {blocks[0]: [1]}).plan.heads == ((3, 4),)


@only_icon
def test_a_refill_and_the_state_it_refills_are_one_group(net):
    for example in (None, torch.zeros(1, 2, 3, 8, 8)):      # of two frames, both would be keyframes
        state, = (group for group in groups(net, example) if group.name == 'backward_trunk.refill')
        assert {'backward_trunk.first', 'backward_trunk.blocks.0.conv2'} < set(state.writers)
        assert {('backward_trunk.refill', 0), ('forward_trunk.first', 3)} < set(state.readers)


@only_icon
def test_what_the_extractor_looks_up_by_group_keeps_its_width(net):
    layers = ('conv_first', 'conv_l2_2', 'conv_l3_2', 'pcd_align.feat_conv.l1')
    assert {f'keyframes.{layer}' for layer in layers} <= set(fixed_layers(net))


@only_images
def test_every_layer_but_the_last_can_be_pruned(net): assert fixed_layers(net) == ['network.body.6']


@only_images
def test_commands_take_a_file_of_theirs(net, pairs, tmp_path):
    # wide enough for a search that takes channels away by the eight
    wide = image_network(made('Compact', num_feat=24, num_conv=1).state_dict(), 'compact.pth')
    theirs, smaller, clip = tmp_path/'theirs.safetensors', tmp_path/'smaller.safetensors', pairs[0].lq()[:2]
    save_file(wide.network.state_dict(), theirs)
    write_clip(clip, tmp_path/'small')
    for i in range(5): write_clip(pairs[0].gt()[:3, 16*i:16*i + 96, :128], tmp_path/'clips'/str(i))

    def run(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.output

    run('prune', '--model', theirs, '--data', tmp_path/'clips', '--target', 'macs=0.6', '--iterations', 0,
        '-o', smaller, '--size', '32x48', '--crop', 24)
    for file in (theirs, smaller):
        assert 'ImageNetwork' in run('info', file)
        run('eval', '--model', file, '--data', tmp_path/'clips', '--record', tmp_path/f'{file.stem}.json')
        run('upscale', tmp_path/'small', '-o', tmp_path/f'{file.stem}-large', '--model', file)
    restored, small = read_clip(tmp_path/'smaller-large'), checkpoints.load(smaller)
    assert np.abs(restored.astype(int) - restore(small, clip)).max() <= 1
    assert cost.macs(small, (32, 48)).network < 0.65*cost.macs(wide, (32, 48)).network


@only_rbpn
def test_every_layer_but_the_output_can_be_pruned(net): assert fixed_layers(net) == ['output']


def test_removing_filters_is_zeroing_them(net, clips):
    gone = {group.name: [0, group.width - 1] for group in groups(net)}
    assert difference(remove(net, gone)(clips[0]), zeroed(net, gone)(clips[0])) < 1e-5


@pytest.mark.parametrize('net, criterion', [('tiny', 'l1'), ('tiny', 'reconstruction'), ('real', 'l1'),
                                            ('plusplus', 'l1'), ('edvr', 'l1'), ('icon', 'l1'),
                                            ('swinir', 'l1'), ('rbpn', 'l1'),
                                            pytest.param('images', 'l1', marks=IMAGES.marks)], indirect=['net'])
def test_filters_are_pruned_and_repaired(net, few, criterion):
    plain, repaired = (prune_filters(net, target='macs=0.55', criterion=criterion, clips=few, repair=repaired)[0]
                       for repaired in (False, True))
    assert plain.plan == repaired.plan
    assert 0.35 < cost.macs(plain, (64, 96)).network/cost.macs(net, (64, 96)).network < 0.6
    assert lost(repaired, net, few) < lost(plain, net, few)


@only_tiny
def test_only_one_part_is_pruned(net):
    small, _ = prune_filters(net, 0.5, parts=('inner',))
    assert small.plan == TinyPlan(inner=5)


def test_weights_are_pruned_and_repaired(net, few):
    small = type(net)(net.plan).eval()
    small.load_state_dict(net.state_dict())
    masks = prune_weights(small, 0.5)
    repaired, _ = repair_weights(small, net, masks, few[0])
    assert sparsity(small) == pytest.approx(0.5, abs=0.01) == sparsity(repaired)
    assert lost(repaired, net, few) < lost(small, net, few)


def test_it_is_finetuned_with_a_teacher(net, pairs):
    small, report = prune_filters(net, 0.3)
    small.requires_grad_()
    before = {name: p.clone() for name, p in small.named_parameters()}
    left = report.set_index('group').left
    teacher = Teacher(net, small, {trunk: left[layer] for trunk, layer in net.state_layers.items()})
    recipe = teacher.recipe(finetuning_recipe(2, batch=1, frames=3, size=16))
    assert len(finetune(small, pairs, recipe, teacher=teacher, progress=False)) == 2
    learned = {name.split('.')[0] for name, p in small.named_parameters() if not torch.equal(p, before[name])}
    before_end = dict(EDVR={'pcd_align', 'fusion'}, SwinIR={'layers', 'upconv1'}, RBPN={'projection', 'res_feat1'},
                      ImageNetwork={'network'})
    expected = {*net.trunks, *(['cleaning'] if net.cleans else [])} or before_end[type(net).__name__]
    assert 'spynet' not in learned and expected <= learned


def test_it_comes_back_from_its_file(net, file):
    again = checkpoints.load(file)
    assert type(again) is type(net) and again.plan == net.plan
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), net.state_dict().values()))


def test_its_file_is_explained(net, file):
    about = explain_file(file)
    assert about['network'] == type(net).__name__ and about['macs'] > about['macs_flow']
    assert (about['macs_flow'] > 0) == hasattr(net, 'spynet')


@only_tiny
def test_its_widths_are_drawn(file):
    bars = width_bars(plan_of(explain_file(file)))
    assert [name for name, _, _ in bars] == ['trunks state', 'trunks inner', 'end wide']


@only_tiny
def test_a_family_that_is_not_known_is_named(file, monkeypatch):
    monkeypatch.delitem(FAMILIES, 'TinyVSR')
    with pytest.raises(InputError, match="unknown network 'TinyVSR'"): checkpoints.load(file)


def test_cleaning_is_counted():
    net, plain = RealBasicVSR(RealPlan.dense(8, 2, 3)), BasicVSR(Plan.dense(8, 2))
    weights = sum(p.numel() for name, p in net.cleaning.named_parameters() if name.endswith('weight'))
    assert cost.macs(net, (36, 64)).network - cost.macs(plain, (36, 64)).network == 36*64*weights


def test_it_runs_fast(net, clips):
    clip = clips[0][:1]
    assert difference(Fast(net)(clip), net(clip)) < 1e-5


@only_real
def test_it_runs_fast_in_tiles(net, clips):
    clip = clips[0][:1]
    assert difference(Fast(net, tile=8)(clip), net(clip)) < 1e-5


def apart(net, clip, **options):
    "How far a clip that is streamed is from one pass, in levels"
    return np.abs(np.stack([*upscale(net, clip, **options)]).astype(int) - restore(net, clip)).max()


@pytest.mark.parametrize('segment', [1, 3])
def test_it_streams_as_in_one_pass(net, pairs, segment): assert apart(net, pairs[0].lq()[:5], segment=segment) <= 1


@pytest.mark.parametrize('net', ['edvr', 'swinir', IMAGES], indirect=True)
def test_it_holds_a_window_and_no_more(net, pairs, monkeypatch):
    seen, kind = [], type(net)
    look = kind.features
    monkeypatch.setattr(kind, 'features', lambda self, frame: seen.append(1) or look(self, frame))
    frames = upscale(net, pairs[0].lq())
    next(frames)
    assert len(seen) == net.window
    assert len([*frames]) + 1 == len(seen) == len(pairs[0].lq())


@pytest.mark.parametrize('net', ['edvr', 'swinir', 'rbpn', IMAGES], indirect=True)
def test_its_windows_have_no_other_side_to_look_at(net, pairs):
    with pytest.raises(InputError, match='leave look_ahead out'): upscale(net, pairs[0].lq(), look_ahead=4)
    with pytest.raises(InputError, match='cannot be cut into tiles'): upscale(net, pairs[0].lq(), tile=16)


@only_real
def test_it_streams_in_tiles(net, pairs): assert apart(net, pairs[0].lq(), segment=3, tile=16) <= 1


@only_real
def test_each_frame_is_cleaned_once(net, pairs, monkeypatch):
    cleaned = []
    act = Finite.clean
    monkeypatch.setattr(Finite, 'clean', lambda self, frame: cleaned.append(1) or act(self, frame))
    clip, spent = pairs[0].lq(), StreamCost()
    list(upscale(net, clip, segment=len(clip), cost=spent))
    assert len(cleaned) == len(clip) == spent.frames


@only_real
def test_frames_may_be_cleaned_twice(net, file, pairs, tmp_path):
    clip, twice = pairs[0].lq()[:3], copy.deepcopy(net)
    twice.cleaning_passes = 2
    write_clip(clip, tmp_path/'small')
    upscale_file(tmp_path/'small', tmp_path/'large', file, cleaning_passes=2)
    assert np.abs(read_clip(tmp_path/'large').astype(int) - restore(twice, clip)).max() <= 1
    assert difference(twice(to_tensor(clip)), net(to_tensor(clip))) > 1e-3
    with pytest.raises(InputError, match='1 to 3 times, not 4'):
        upscale_file(tmp_path/'small', tmp_path/'other', file, cleaning_passes=4)


@only_tiny
def test_a_network_that_does_not_clean_takes_no_passes(file, pairs, tmp_path):
    write_clip(pairs[0].lq()[:2], tmp_path/'small')
    with pytest.raises(InputError, match='TinyVSR does not clean'):
        upscale_file(tmp_path/'small', tmp_path/'large', file, cleaning_passes=2)


def test_a_video_is_upscaled_by_its_file(net, file, pairs, tmp_path):
    clip = pairs[0].lq()[:3]
    write_clip(clip, tmp_path/'small')
    upscale_file(tmp_path/'small', tmp_path/'large', file)
    assert np.abs(read_clip(tmp_path/'large').astype(int) - restore(net, clip)).max() <= 1


def test_it_is_scored(net, pairs):
    methods = fast_restore(net), lambda lq: restore(net, lq)
    scores = [evaluate(method, pairs[:1], 'stills', temporal=False).psnr for method in methods]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)


def test_its_file_is_scored(file):
    assert evaluate_file(file, 'stills', frames=2).network.psnr > 5


@pytest.mark.parametrize('net', ['tiny', 'rbpn', IMAGES], indirect=True)
@pytest.mark.skipif(importlib.util.find_spec('onnxruntime') is None, reason='onnxruntime is not installed')
def test_it_is_exported(net, file, pairs, tmp_path):
    export_file(file, tmp_path/'onnx')
    clip = to_tensor(pairs[0].lq()[:3])
    assert difference(OnnxVSR(tmp_path/'onnx')(clip), net(clip)) < 1e-3


def test_it_is_shrunk_to_a_target(pairs):
    wide = TinyVSR(TinyPlan(state=24, inner=32, wide=32)).eval()      # the search takes channels away by the eight
    found = shrink(wide, pairs[:2], pairs[2:], 'macs=0.5', iterations=2, size=(32, 48), batch=1, frames=2, crop=32)
    assert isinstance(found.model, TinyVSR) and 0.35 < found.macs < 0.55
