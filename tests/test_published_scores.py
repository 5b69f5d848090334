"""BasicVSR's published networks score on the whole of Vid4 what their authors published (`make test-published`);
skipped where network or clips are not here"""
from functools import lru_cache

import pytest
import torch
from runner import fetched, shared_out

from vsrprune import checkpoints
from vsrprune.datasets import clip_pairs, data_root
from vsrprune.files import InputError, shared_folder
from vsrprune.metrics import evaluate
from vsrprune.evaluation import fast_restore

# of BasicVSR (Chan et al., CVPR 2021): PSNR in dB and SSIM of luma, and PSNR of each clip
BI = dict(psnr=27.24, ssim=0.8251, clips=dict(calendar=23.87, city=27.66, foliage=26.47, walk=30.96))
BD = dict(psnr=27.96, ssim=0.8553)


@lru_cache(1)
def vid4(kind, frames=None):
    "The clips of Vid4; the test is skipped where they are not here"
    roots = [data_root(), *[shared/'video' for shared in [shared_folder()] if shared]]
    for root in roots:
        try: return clip_pairs('vid4', root=root, kind=kind, frames=frames)
        except InputError: continue
    pytest.skip('Vid4 is not here')


def score(name, kind, frames=None, clips=None):
    "Scores by the fast path, in float32; other tests run beside it, so it takes its share of the cores"
    threads = torch.get_num_threads()
    torch.set_num_threads(int(shared_out()['OMP_NUM_THREADS']))
    method, pairs = fast_restore(checkpoints.load(fetched(name))), vid4(kind, frames)[:clips]
    try: return evaluate(method, pairs, 'vid4', temporal=False)
    finally: torch.set_num_threads(threads)


@pytest.mark.published
def test_bi_scores_as_published():
    scores = score('basicvsr-vimeo90k-bi', 'BI')
    assert abs(scores.psnr - BI['psnr']) < 0.01 and abs(scores.ssim - BI['ssim']) < 5e-4, (scores.psnr, scores.ssim)
    off = {clip.name: abs(clip.psnr - BI['clips'][clip.name]) for clip in scores.clips}
    assert set(off) == set(BI['clips']) and max(off.values()) < 0.01, off


@pytest.mark.published
def test_bd_scores_as_published():
    scores = score('basicvsr-vimeo90k-bd', 'BD')
    assert abs(scores.psnr - BD['psnr']) < 0.05 and abs(scores.ssim - BD['ssim']) < 0.005, (scores.psnr, scores.ssim)


def test_a_clip_made_for_duf_shows_at_once():
    # two frames of one clip
    ours, duf = (score('basicvsr-vimeo90k-bd', kind, frames=2, clips=1) for kind in ('BD', 'BD-duf'))
    assert ours.psnr - duf.psnr > 2, (ours.psnr, duf.psnr)


@pytest.mark.published
def test_bd_is_not_that_of_duf():
    # two frames of each clip
    ours, duf = (score('basicvsr-vimeo90k-bd', kind, frames=2) for kind in ('BD', 'BD-duf'))
    assert all(a.psnr - b.psnr > 2 for a, b in zip(ours.clips, duf.clips))
    assert ours.psnr - duf.psnr > 5, (ours.psnr, duf.psnr)
