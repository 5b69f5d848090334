"A family of networks that vsrprune has never heard of: convolutions without residual blocks, under names of its own"
import torch
import torch.nn.functional as F
from torch import nn

from vsrprune.flow import width_of
from vsrprune.networks import TRUNKS, NetworkPlan, RecurrentNetwork, family


class TinyPlan(NetworkPlan):
    state: int = 8
    inner: int = 10
    wide: int = 12

    @classmethod
    def of_weights(cls, params):
        layers = dict(state='forward_trunk.leave', inner='forward_trunk.enter', wide='gather')
        return cls(**{name: width_of(params, layer) for name, layer in layers.items()})

    def widths(self): return dict(trunks=dict(state=[self.state], inner=[self.inner]), end=dict(wide=[self.wide]))


class TinyFlow(nn.Module):
    "Two frames side by side to their flow"
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 2, 3, padding=1)

    def forward(self, first, second): return self.conv(torch.cat([first, second], 1))


class TinyTrunk(nn.Module):
    "Frame and state side by side, through two convolutions"
    def __init__(self, plan):
        super().__init__()
        self.enter = nn.Conv2d(3 + plan.state, plan.inner, 3, padding=1)
        self.leave = nn.Conv2d(plan.inner, plan.state, 3, padding=1)

    def forward(self, frame, state): return self.leave(F.relu(self.enter(torch.cat([frame, state], 1))))


@family
class TinyVSR(RecurrentNetwork):
    Plan = TinyPlan
    parts = {r'spynet\..+': 'flow', r'\w+_trunk\.enter': 'inner', r'\w+_trunk\.leave': 'stream', 'gather': 'tail'}
    state_layers = {trunk: f'{trunk}.leave' for trunk in TRUNKS}

    def __init__(self, plan=TinyPlan()):
        super().__init__(plan)
        self.spynet = TinyFlow()
        self.backward_trunk, self.forward_trunk = TinyTrunk(plan), TinyTrunk(plan)
        self.gather = nn.Conv2d(2*plan.state, plan.wide, 1)
        self.last = nn.Conv2d(plan.wide, 48, 3, padding=1)

    def upsample(self, frame, backward, forward):
        found = self.last(F.relu(self.gather(torch.cat([backward, forward], 1))))
        return F.interpolate(frame, scale_factor=4, mode='bilinear', align_corners=False) + F.pixel_shuffle(found, 4)
