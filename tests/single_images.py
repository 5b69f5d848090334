"spandrel for the tests, also where its torchvision was built for another torch, and small networks of its making"
import importlib
import warnings

import torch

SKIPPED = "spandrel cannot be had here (pip install 'vsrprune[images]'), so networks for single images are not tested"
OPERATORS = ('nms', 'qnms')      # that a torchvision for CUDA describes and, beside a torch for CPUs, does not have
_kept = []                       # operators last as long as what defined them


def _torchvision():
    try: return importlib.import_module('torchvision')
    except RuntimeError: pass
    library = torch.library.Library('torchvision', 'DEF')
    for name in OPERATORS: library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    _kept.append(library)
    return importlib.import_module('torchvision')


def _found():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')      # what it needs of torchvision is pure Python
            _torchvision()
            return importlib.import_module('spandrel')
    except Exception: return None


spandrel = _found()      # None where it cannot be had


def made(architecture, seed=0, **parameters):
    "A network with random weights, and biases that are not zero"
    module = importlib.import_module(f'spandrel.architectures.{architecture}')
    torch.manual_seed(seed)
    net = getattr(module, architecture)(**parameters).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if name.endswith('bias'): p.uniform_(-0.1, 0.1)
    return net
