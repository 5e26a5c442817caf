"""The network cells of `cargo xtask bench --peer` in PyTorch; README.md says what a cell is.

The networks are those of our side, layer by layer and, but for deepinv's own, name by name, in single precision and run eagerly.
"""

import math
import statistics
import time

import torch
import torch.nn.functional as F
from deepinv.models import ADMUNet
from torch import nn

# How long one question may be answered for, in seconds; one call at least is timed.
BUDGET = 0.5
# Steps of which the peak memory is taken: the second has the optimiser's state.
MEMORY_STEPS = 3
LEARNING_RATE = 1e-3


def embedding(labels, frequencies):
    """Sines, then cosines: `[batch]` to `[batch, 2 len(frequencies)]`."""
    angles = labels[:, None] * frequencies[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


def same(inputs, outputs, bias=True):
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


class SmallBlock(nn.Module):
    def __init__(self, inputs, outputs, time):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, inputs)
        self.conv1 = same(inputs, outputs)
        self.time = nn.Linear(time, outputs)
        self.norm2 = nn.GroupNorm(8, outputs)
        self.conv2 = same(outputs, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(F.silu(time))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + self.shortcut(x)


class SmallUNet(nn.Module):
    """Two halvings, one residual block a level and two at the bottom, no attention."""

    def __init__(self, base=32):
        super().__init__()
        time = 4 * base
        self.time1, self.time2 = nn.Linear(base, time), nn.Linear(time, time)
        self.input = same(1, base)
        self.down1 = SmallBlock(base, base, time)
        self.halve1 = nn.Conv2d(base, base, 3, 2, 1)
        self.down2 = SmallBlock(base, 2 * base, time)
        self.halve2 = nn.Conv2d(2 * base, 2 * base, 3, 2, 1)
        self.bottom1 = SmallBlock(2 * base, 4 * base, time)
        self.bottom2 = SmallBlock(4 * base, 4 * base, time)
        self.double2 = nn.ConvTranspose2d(4 * base, 2 * base, 2, 2)
        self.up2 = SmallBlock(4 * base, 2 * base, time)
        self.double1 = nn.ConvTranspose2d(2 * base, base, 2, 2)
        self.up1 = SmallBlock(2 * base, base, time)
        self.norm = nn.GroupNorm(8, base)
        self.output = same(base, 1)
        half = base // 2
        powers = torch.exp(torch.arange(half) * (-math.log(10000.0) / half))
        self.register_buffer("frequencies", powers, persistent=False)

    def forward(self, x, labels):
        time = self.time2(F.silu(self.time1(embedding(labels, self.frequencies))))
        first = self.down1(self.input(x), time)
        second = self.down2(self.halve1(first), time)
        h = self.bottom1(self.halve2(second), time)
        h = self.bottom2(h, time)
        h = self.up2(torch.cat([self.double2(h), second], 1), time)
        h = self.up1(torch.cat([self.double1(h), first], 1), time)
        return self.output(F.silu(self.norm(h)))


def group_norm(channels):
    return nn.GroupNorm(32, channels, eps=1e-6)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, time, dropout):
        super().__init__()
        self.norm1 = group_norm(inputs)
        self.conv1 = same(inputs, outputs)
        self.time = nn.Linear(time, outputs)
        self.norm2 = group_norm(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = same(outputs, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(time)[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.shortcut(x) + h


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.projection = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        batch, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(batch, 3, 1, channels, height * width)
        q, k, v = qkv.transpose(3, 4).unbind(1)
        seen = F.scaled_dot_product_attention(q, k, v)
        return x + self.projection(seen.transpose(2, 3).reshape(x.shape))


class Stage(nn.Module):
    def __init__(self, inputs, outputs, time, dropout, attends):
        super().__init__()
        self.residual = Residual(inputs, outputs, time, dropout)
        self.attention = Attention(outputs) if attends else nn.Identity()

    def forward(self, x, time):
        return self.attention(self.residual(x, time))


class Level(nn.Module):
    def __init__(self, stages, resample):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.resample = resample


class Bottom(nn.Module):
    def __init__(self, channels, time, dropout):
        super().__init__()
        self.first = Residual(channels, channels, time, dropout)
        self.attention = Attention(channels)
        self.second = Residual(channels, channels, time, dropout)

    def forward(self, x, time):
        return self.second(self.attention(self.first(x, time)), time)


class TimeEmbedding(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, 4 * width)
        half = width // 2
        powers = torch.exp(torch.arange(half) * (-math.log(10000.0) / (half - 1)))
        self.register_buffer("frequencies", powers, persistent=False)

    def forward(self, labels):
        return F.silu(self.second(F.silu(self.first(embedding(labels, self.frequencies)))))


class DdpmUNet(nn.Module):
    """The network of Ho et al. 2020 for CIFAR-10: our preset `ddpm-cifar10`."""

    def __init__(self, channels=3, base=128, widths=(128, 256, 256, 256), blocks=2, dropout=0.1):
        super().__init__()
        time, last, attends = 4 * base, len(widths) - 1, {1}
        self.time = TimeEmbedding(base)
        self.input = same(channels, base)
        width, skips, encoder, decoder = base, [base], [], []
        for level, outputs in enumerate(widths):
            stages = []
            for _ in range(blocks):
                stages.append(Stage(width, outputs, time, dropout, level in attends))
                width = outputs
                skips.append(width)
            halve = None
            if level < last:
                halve = nn.Conv2d(width, width, 3, 2)
                skips.append(width)
            encoder.append(Level(stages, halve))
        self.encoder = nn.ModuleList(encoder)
        self.bottom = Bottom(width, time, dropout)
        for level, outputs in reversed(list(enumerate(widths))):
            stages = []
            for _ in range(blocks + 1):
                inputs = width + skips.pop()
                stages.append(Stage(inputs, outputs, time, dropout, level in attends))
                width = outputs
            decoder.append(Level(stages, same(width, width) if level > 0 else None))
        self.decoder = nn.ModuleList(decoder)
        self.norm = group_norm(width)
        self.output = same(width, channels)

    def forward(self, x, labels):
        time = self.time(labels)
        x = self.input(x)
        skips = [x]
        for level in self.encoder:
            for stage in level.stages:
                x = stage(x, time)
                skips.append(x)
            if level.resample is not None:
                x = level.resample(F.pad(x, (0, 1, 0, 1)))
                skips.append(x)
        x = self.bottom(x, time)
        for level in self.decoder:
            for stage in level.stages:
                x = stage(torch.cat([x, skips.pop()], 1), time)
            if level.resample is not None:
                x = level.resample(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.output(F.silu(self.norm(x)))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.conv2 = same(width, width, False), same(width, width, False)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))


class Drunet(nn.Module):
    """The colour network of Zhang et al. 2021."""

    def __init__(self, channels=3, widths=(64, 128, 256, 512), blocks=4):
        super().__init__()

        def level(width):
            return nn.Sequential(*[Block(width) for _ in range(blocks)])

        steps = list(zip(widths, widths[1:]))
        self.head = same(channels + 1, widths[0], False)
        self.down = nn.ModuleList(
            nn.Sequential(level(fine), nn.Conv2d(fine, coarse, 2, 2, bias=False))
            for fine, coarse in steps
        )
        self.body = level(widths[-1])
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(coarse, fine, 2, 2, bias=False), level(fine))
            for fine, coarse in reversed(steps)
        )
        self.tail = same(widths[0], channels, False)

    def forward(self, x, sigma):
        batch, _, height, width = x.shape
        x = self.head(torch.cat([x, sigma.reshape(-1, 1, 1, 1).expand(batch, 1, height, width)], 1))
        skips = []
        for level in self.down:
            skips.append(x)
            x = level(x)
        x = x + self.body(x)
        for level in self.up:
            x = level(x) + skips.pop()
        return self.tail(x)


class Adm(ADMUNet):
    """The network of Dhariwal & Nichol 2021 for images of 64 pixels, as deepinv ships it."""

    def __init__(self):
        super().__init__(pretrained=None)

    def forward(self, x, labels):
        return self.forward_unet(x, labels)


def forward(network, x, labels):
    network.eval()

    def step():
        with torch.no_grad():
            network(x, labels)

    return step


def gradient(network, x, labels):
    """With respect to the image; the weights are constants."""
    network.eval().requires_grad_(False)
    cotangent = torch.ones_like(x)

    def step():
        tracked = x.detach().requires_grad_()
        torch.autograd.grad(network(tracked, labels), tracked, cotangent)

    return step


def training(network, x, labels):
    network.train()
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE, eps=1e-8)
    target = torch.randn_like(x)

    def step():
        optimiser.zero_grad()
        F.mse_loss(network(x, labels), target).backward()
        optimiser.step()

    return step


# Network, batch of images, largest label, what a call does, and its kind.
CELLS = {
    "unet-forward": (SmallUNet, (16, 1, 28, 28), 1.0, forward, "network"),
    "unet-training": (SmallUNet, (64, 1, 28, 28), 1.0, training, "training"),
    "drunet-64": (Drunet, (1, 3, 64, 64), 0.2, forward, "network"),
    "drunet-256": (Drunet, (1, 3, 256, 256), 0.2, forward, "network"),
    "drunet-64-gradient": (Drunet, (1, 3, 64, 64), 0.2, gradient, "network"),
    "adm-64": (Adm, (1, 3, 64, 64), 1.0, forward, "network"),
    "ddpm-cifar10-training": (DdpmUNet, (8, 3, 32, 32), 1000.0, training, "training"),
}


class Built:
    """One cell, ready to be called, and what its work is."""

    def __init__(self, name):
        network, self.shape, largest, call, _ = CELLS[name]
        torch.manual_seed(0)
        network = network()
        x = torch.randn(self.shape)
        self.name = name
        # Sorted, since a linear layer may be stored transposed.
        self.weights = sorted(sorted(weight.shape) for weight in network.parameters())
        self.step = call(network, x, largest * torch.rand(self.shape[0]))

    def work(self):
        return {"cell": self.name, "input": self.shape, "weights": self.weights}

    def ms(self):
        """The median call."""
        times, end = [], time.perf_counter() + BUDGET
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            self.step()
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times)

    def memory(self):
        """Peak resident memory, and how far it lies above that before the first step, in MiB."""
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")
        before = resident("VmRSS")
        for _ in range(MEMORY_STEPS):
            self.step()
        peak = resident("VmHWM")
        return {"peak_mib": peak, "growth_mib": peak - before}


def resident(field):
    """A line of the process's status, in MiB."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) / 1024
