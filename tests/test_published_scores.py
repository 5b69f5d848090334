"BasicVSR's published networks score on the whole of Vid4 what their authors published; skipped where network or clips are not here"
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from vsrprune import checkpoints
from vsrprune.datasets import clip_pairs, data_root
from vsrprune.frames import InputError, shared_folder
from vsrprune.metrics import evaluate
from vsrprune.scoring import fast_restore
from vsrprune.training import has_bfloat16

FILES = {'basicvsr-vimeo90k-bi': 'BasicVSR_Vimeo90K_BIx4', 'basicvsr-vimeo90k-bd': 'BasicVSR_Vimeo90K_BDx4'}
# of BasicVSR (Chan et al., CVPR 2021): PSNR in dB and SSIM of luma, and PSNR of each clip
BI = dict(psnr=27.24, ssim=0.8251, clips=dict(calendar=23.87, city=27.66, foliage=26.47, walk=30.96))
BD = dict(psnr=27.96, ssim=0.8553)


def published(name):
    "The file of a published network; the test is skipped where it is not in the cache"
    cache = Path(os.environ.get('VSRPRUNE_CACHE') or '~/.cache/vsrprune').expanduser()
    found = sorted(cache.rglob(f'{FILES[name]}*.pth')) if cache.is_dir() else []
    if not found: pytest.skip(f'the published network {name} is not here')
    return found[0]


@lru_cache(1)
def vid4(kind, frames=None):
    "The clips of Vid4; the test is skipped where they are not here"
    roots = [data_root(), *[shared/'video' for shared in [shared_folder()] if shared]]
    for root in roots:
        try: return clip_pairs('vid4', root=root, kind=kind, frames=frames)
        except InputError: continue
    pytest.skip('Vid4 is not here')


def score(name, kind, frames=None):
    "Scores by the fast path, in bfloat16 where the processor has units for it: they agree to a hundredth of a decibel"
    network, pairs = checkpoints.load(published(name)), vid4(kind, frames)
    dtype = torch.bfloat16 if has_bfloat16() else torch.float32
    if torch.cuda.is_available(): network = network.cuda()
    return evaluate(fast_restore(network, dtype), pairs, 'vid4', temporal=False)


def test_bi_scores_as_published():
    scores = score('basicvsr-vimeo90k-bi', 'BI')
    assert abs(scores.psnr - BI['psnr']) < 0.01 and abs(scores.ssim - BI['ssim']) < 5e-4, (scores.psnr, scores.ssim)
    off = {clip.name: abs(clip.psnr - BI['clips'][clip.name]) for clip in scores.clips}
    assert set(off) == set(BI['clips']) and max(off.values()) < 0.01, off


def test_bd_scores_as_published():
    scores = score('basicvsr-vimeo90k-bd', 'BD')
    assert abs(scores.psnr - BD['psnr']) < 0.05 and abs(scores.ssim - BD['ssim']) < 0.005, (scores.psnr, scores.ssim)


def test_bd_is_not_that_of_duf():
    # two frames of each clip: the wrong one shows at once
    ours, duf = (score('basicvsr-vimeo90k-bd', kind, frames=2) for kind in ('BD', 'BD-duf'))
    assert np.all([a.psnr - b.psnr > 2 for a, b in zip(ours.clips, duf.clips)]) and ours.psnr - duf.psnr > 5, (ours.psnr, duf.psnr)
