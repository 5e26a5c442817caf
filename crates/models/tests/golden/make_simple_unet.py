"""A small SimpleUnet with seeded weights, and its outputs with the running statistics and with those of the batch.

    python make_simple_unet.py    # PyTorch 2.15
"""

import json
import math
import pathlib

import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
CHANNELS, WIDTHS, TIME = 3, [4, 6, 8], 8


class Block(nn.Module):
    def __init__(self, inputs, outputs, up):
        super().__init__()
        self.time_mlp = nn.Linear(TIME, outputs)
        self.conv1 = nn.Conv2d(2 * inputs if up else inputs, outputs, 3, padding=1)
        resample = nn.ConvTranspose2d if up else nn.Conv2d
        self.transform = resample(outputs, outputs, 4, 2, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.bnorm1 = nn.BatchNorm2d(outputs)
        self.bnorm2 = nn.BatchNorm2d(outputs)

    def forward(self, x, told):
        h = self.bnorm1(self.conv1(x).relu())
        h = h + self.time_mlp(told).relu()[:, :, None, None]
        return self.transform(self.bnorm2(self.conv2(h).relu()))


class Code(nn.Module):
    def forward(self, labels):
        half = TIME // 2
        rates = torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
        angles = labels[:, None] * rates[None]
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class SimpleUnet(nn.Module):
    def __init__(self):
        super().__init__()
        pairs = list(zip(WIDTHS, WIDTHS[1:]))
        self.time_mlp = nn.Sequential(Code(), nn.Linear(TIME, TIME), nn.ReLU())
        self.conv0 = nn.Conv2d(CHANNELS, WIDTHS[0], 3, padding=1)
        self.downs = nn.ModuleList(Block(fine, coarse, False) for fine, coarse in pairs)
        self.ups = nn.ModuleList(Block(coarse, fine, True) for fine, coarse in reversed(pairs))
        self.output = nn.Conv2d(WIDTHS[0], CHANNELS, 1)

    def forward(self, x, labels):
        told = self.time_mlp(labels)
        x = self.conv0(x)
        kept = []
        for block in self.downs:
            x = block(x, told)
            kept.append(x)
        for block in self.ups:
            x = block(torch.cat([x, kept.pop()], dim=1), told)
        return self.output(x)


def main():
    network = SimpleUnet()
    generator = torch.Generator().manual_seed(3)
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(0.3 + noise.abs())
        elif "bnorm" in name and name.endswith("weight"):
            tensor.copy_(1.0 + 0.3 * noise)
        elif tensor.ndim == 1:
            tensor.copy_(0.3 * noise)
        else:
            tensor.copy_(noise / math.sqrt(tensor[0].numel()))
    file = HERE / "simple_unet.pth"
    torch.save(network.state_dict(), file)
    x = torch.randn((3, CHANNELS, 8, 12), generator=generator)
    labels = torch.tensor([0.0, 57.0, 299.0])
    with torch.no_grad():
        running = network.eval()(x, labels)
        batch = network.train()(x, labels)
    golden = {
        "shape": list(x.shape),
        "labels": labels.tolist(),
        "x": x.flatten().tolist(),
        "running": running.flatten().tolist(),
        "batch": batch.flatten().tolist(),
    }
    (HERE / "simple_unet.json").write_text(json.dumps(golden) + "\n")
    print(file.name, file.stat().st_size, "bytes; largest", running.abs().max().item(), batch.abs().max().item())


main()
