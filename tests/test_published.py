"""The published networks themselves: they load, restore, and go to MMagic's layout and back. They are fetched;
where that fails, the tests are skipped and say why"""
import numpy as np
import pytest
import torch
from runner import fetched

from vsrprune import checkpoints, cost
from vsrprune.basicvsr import BasicVSR
from vsrprune.basicvsrpp import BasicVSRPlusPlus
from vsrprune.catalogue import CATALOGUE, in_wheels
from vsrprune.edvr import EDVR
from vsrprune.files import shared_folder
from vsrprune.frames import read_clip
from vsrprune.iconvsr import IconVSR
from vsrprune.metrics import bicubic, psnr
from vsrprune.networks import restore
from vsrprune.realbasicvsr import RealBasicVSR

# what the catalogue calls a network: its family, and how `dense` describes it
LARGE = dict(features=128, blocks=40)
KINDS = {'BasicVSR': (BasicVSR, {}),
         'BasicVSR++': (BasicVSRPlusPlus, {}),
         'BasicVSR++ of 128 channels and 25 blocks, for NTIRE 2021,': (BasicVSRPlusPlus, dict(features=128, blocks=25)),
         'EDVR-L': (EDVR, LARGE),
         'EDVR-L without attention': (EDVR, LARGE | dict(attention=False)),
         'EDVR-M': (EDVR, {}),
         'EDVR-M without attention': (EDVR, dict(attention=False)),
         'IconVSR': (IconVSR, {}),
         'RealBasicVSR': (RealBasicVSR, {}),
         'RealBasicVSR before adversarial training,': (RealBasicVSR, {})}


@pytest.mark.parametrize('entry', CATALOGUE.values(), ids=CATALOGUE)
def test_has_as_many_parameters_as_the_catalogue_says(entry):
    family, options = KINDS[entry.kind]
    # clips of Vimeo-90K have seven frames, and so have the windows of networks trained on them
    if family in (EDVR, IconVSR) and entry.training == 'Vimeo-90K': options = options | dict(window=7)
    with torch.device('meta'): model = family(family.Plan.dense(**options))
    assert cost.params(model) == entry.params


@pytest.fixture(params=in_wheels())
def name(request):
    "Each published network in turn, once it is here"
    fetched(request.param)
    return request.param


def test_loads(name):
    model = checkpoints.load(name)
    assert cost.params(model) == CATALOGUE[name].params
    assert all(value.dtype == torch.float32 for value in model.parameters())


def test_goes_to_mmagic_and_back_without_a_bit_changed(name, tmp_path):
    checkpoints.convert(name, tmp_path/'mmagic.pth', 'mmagic')
    checkpoints.convert(tmp_path/'mmagic.pth', tmp_path/'basicsr.pth', 'basicsr')
    before = torch.load(fetched(name), weights_only=True)['params']
    after = torch.load(tmp_path/'basicsr.pth', weights_only=True)['params']
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_the_network_of_reds_restores_a_clip():
    fetched('basicvsr-reds4')
    if shared_folder() is None: pytest.skip('../shared is not here')
    lq = read_clip(shared_folder()/'video'/'demo_lr')[:3, 20:84, 40:136]
    sr = restore(checkpoints.load('basicvsr-reds4'), lq)
    assert sr.shape == (3, 256, 384, 3) and sr.dtype == np.uint8
    # the same picture as bicubic's, and sharper
    enlarged = bicubic(lq)
    assert psnr(sr, enlarged).min() > 20
    assert sharpness(sr) > 1.1*sharpness(enlarged)


def sharpness(clip):
    "Mean difference of neighbouring pixels in a row"
    return np.abs(np.diff(np.asarray(clip, float), axis=2)).mean()
