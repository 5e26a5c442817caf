"""Makes own.json: outputs of this crate's autoencoder and classifier, written anew, with the weights of formula.py.

The modules have the names of the crate's files. Needs PyTorch 2.15.0. Usage: python make_own.py
"""

import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import interpolate, log_softmax, silu

from formula import fill, rounded, tensor

GROUPS, EPSILON = 2, 1e-6
WIDTHS = [4, 8]


def norm(channels):
    return nn.GroupNorm(GROUPS, channels, eps=EPSILON)


def same(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


class Block(nn.Module):
    """A residual block, told the noise level where `told` is its length."""

    def __init__(self, inputs, outputs, told=None):
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), same(inputs, outputs)
        self.norm2, self.conv2 = norm(outputs), same(outputs, outputs)
        self.time = nn.Linear(told, 2 * outputs) if told else None
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x, time=None):
        h = self.norm2(self.conv1(silu(self.norm1(x))))
        if self.time:
            scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
            h = h * (1 + scale) + shift
        return (self.shortcut(x) if self.shortcut else x) + self.conv2(silu(h))


class Level(nn.Module):
    """Blocks, and what follows them by its name."""

    def __init__(self, inputs, outputs, name, after):
        super().__init__()
        self.blocks = nn.ModuleList([Block(inputs, outputs), Block(outputs, outputs)])
        if after:
            self.add_module(name, after)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Encoder(nn.Module):
    def __init__(self, channels, latents):
        super().__init__()
        first, last = WIDTHS
        self.input = same(channels, first)
        self.levels = nn.ModuleList(
            [Level(first, first, "halve", same(first, first, 2)), Level(first, last, "halve", None)]
        )
        self.middle = Block(last, last)
        self.norm, self.output = norm(last), same(last, 2 * latents)

    def forward(self, images):
        x = self.input(2 * images - 1)
        x = self.levels[0].halve(self.levels[0](x))
        x = self.middle(self.levels[1](x))
        return self.output(silu(self.norm(x))).chunk(2, 1)


class Decoder(nn.Module):
    def __init__(self, channels, latents):
        super().__init__()
        first, last = WIDTHS
        self.input, self.middle = same(latents, last), Block(last, last)
        self.levels = nn.ModuleList(
            [Level(last, last, "smooth", same(last, last)), Level(last, first, "smooth", None)]
        )
        self.norm, self.output = norm(first), same(first, channels)

    def forward(self, latents):
        x = self.levels[0](self.middle(self.input(latents)))
        x = self.levels[0].smooth(interpolate(x, scale_factor=2, mode="nearest"))
        x = self.levels[1](x)
        return (self.output(silu(self.norm(x))) + 1) / 2


class Autoencoder(nn.Module):
    def __init__(self, channels, latents):
        super().__init__()
        self.encoder, self.decoder = Encoder(channels, latents), Decoder(channels, latents)


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.norm, self.heads = norm(channels), heads
        self.qkv, self.projection = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        batch, channels, height, width = x.shape
        split = (batch, self.heads, channels // self.heads, height * width)
        q, k, v = (part.reshape(split) for part in self.qkv(self.norm(x)).chunk(3, 1))
        weights = torch.softmax(q.mT @ k / math.sqrt(split[2]), -1)
        return x + self.projection((v @ weights.mT).reshape(x.shape))


class Embedding(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        self.first, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, 4 * width)

    def forward(self, labels):
        half = self.width // 2
        angles = labels[:, None] * 1e4 ** (-torch.arange(half) / (half - 1))
        embedded = torch.cat([angles.sin(), angles.cos()], 1)
        return silu(self.second(silu(self.first(embedded))))


class Stage(nn.Module):
    def __init__(self, residual, attention):
        super().__init__()
        self.residual, self.attention = residual, attention


class Resolution(nn.Module):
    def __init__(self, stage, resample):
        super().__init__()
        self.stages, self.resample = nn.ModuleList([stage]), resample


class Bottom(nn.Module):
    def __init__(self, width, told, heads):
        super().__init__()
        self.first, self.second = Block(width, width, told), Block(width, width, told)
        self.attention = Attention(width, heads)


class Classifier(nn.Module):
    """Attention at the first level and at the bottom; halving pads below and to the right."""

    def __init__(self, channels, classes, heads=2):
        super().__init__()
        first, last = WIDTHS
        told = 4 * first
        self.time, self.input = Embedding(first), same(channels, first)
        self.encoder = nn.ModuleList(
            [
                Resolution(Stage(Block(first, first, told), Attention(first, heads)), nn.Conv2d(first, first, 3, 2)),
                Resolution(Stage(Block(first, last, told), None), None),
            ]
        )
        self.bottom = Bottom(last, told, heads)
        self.norm, self.output = norm(last), nn.Linear(last, classes)

    def features(self, x, labels):
        time, x = self.time(labels), self.input(x)
        fine, coarse = self.encoder
        x = fine.stages[0].attention(fine.stages[0].residual(x, time))
        x = fine.resample(nn.functional.pad(x, (0, 1, 0, 1)))
        x = coarse.stages[0].residual(x, time)
        x = self.bottom.attention(self.bottom.first(x, time))
        x = self.bottom.second(x, time)
        return silu(self.norm(x)).mean((2, 3))

    def forward(self, x, labels):
        return log_softmax(self.output(self.features(x, labels)), 1)


with torch.no_grad():
    autoencoder = Autoencoder(channels=2, latents=3)
    tensors, shape, latents = fill(autoencoder), [2, 2, 6, 8], [2, 3, 3, 4]
    mean, log_variance = autoencoder.encoder(tensor(1000, shape, 0.5, 0.5))
    golden = {
        "autoencoder": {
            "tensors": tensors,
            "shape": shape,
            "latents": latents,
            "mean": rounded(mean),
            "log_variance": rounded(log_variance),
            "decoded": rounded(autoencoder.decoder(tensor(1001, latents))),
        }
    }
    classifier = Classifier(channels=2, classes=3)
    tensors, shape, labels = fill(classifier), [2, 2, 6, 8], [3.0, 420.0]
    x = tensor(1002, shape)
    golden["classifier"] = {
        "tensors": tensors,
        "shape": shape,
        "labels": labels,
        "features": rounded(classifier.features(x, torch.tensor(labels))),
        "logs": rounded(classifier(x, torch.tensor(labels))),
    }
path = Path(__file__).with_name("own.json")
path.write_text(json.dumps(golden) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
for name, found in golden.items():
    outputs = {key: value for key, value in found.items() if key not in ("tensors", "shape", "latents", "labels")}
    print(name, len(found["tensors"]), "tensors", {key: (min(v), max(v)) for key, v in outputs.items()})
