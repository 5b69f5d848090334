"""The published networks themselves: they load, restore, and go to MMagic's layout and back. They are fetched;
where that fails, the tests are skipped and say why"""
import numpy as np
import pytest
import torch
from runner import fetched

from vsrprune import checkpoints, cost
from vsrprune.networks import restore
from vsrprune.catalogue import CATALOGUE
from vsrprune.files import shared_folder
from vsrprune.frames import read_clip
from vsrprune.metrics import bicubic, psnr


@pytest.fixture(params=CATALOGUE)
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
