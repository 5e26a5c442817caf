"""A small network of the kind of MnistDdpm with seeded weights, and its outputs.

    python make_mnist_ddpm.py    # PyTorch 2.15
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
CHANNELS, WIDTHS, SIZE, FREQUENCIES, TIME = 1, [4, 6, 5, 3], 10, 4, 8


def weights(generator):
    def normal(*shape, scale=1.0, mean=0.0):
        return mean + scale * torch.randn(shape, generator=generator)

    rates = [0.0] + [2 * math.pi * 1.5**k for k in range(FREQUENCIES - 1)]
    # The tables stand in the file, and nothing here reads them.
    state = {"beta_t": normal(11), "alpha_t": normal(11), "gt.frequencies": torch.tensor(rates)}
    inputs = CHANNELS
    for block, width in enumerate(WIDTHS):
        name = f"gt.blocks.{block}.net"
        state[f"{name}.0.weight"] = normal(width, inputs, 7, 7, scale=1 / math.sqrt(49 * inputs))
        state[f"{name}.0.bias"] = normal(width, scale=0.3)
        state[f"{name}.1.weight"] = normal(width, SIZE, SIZE, scale=0.3, mean=1.0)
        state[f"{name}.1.bias"] = normal(width, SIZE, SIZE, scale=0.3)
        inputs = width
    state[f"gt.blocks.{len(WIDTHS)}.weight"] = normal(CHANNELS, inputs, 3, 3, scale=1 / math.sqrt(9 * inputs))
    state[f"gt.blocks.{len(WIDTHS)}.bias"] = normal(CHANNELS, scale=0.3)
    sizes = [2 * FREQUENCIES, TIME, TIME, TIME, WIDTHS[0]]
    for layer, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
        state[f"gt.time_embed.{2 * layer}.weight"] = normal(fan_out, fan_in, scale=1 / math.sqrt(fan_in))
        state[f"gt.time_embed.{2 * layer}.bias"] = normal(fan_out, scale=0.3)
    return state


def forward(state, x, times):
    angles = times[:, None] * state["gt.frequencies"][None]
    told = torch.cat([angles.sin(), angles.cos() - 1], dim=1)
    for layer in (0, 2, 4, 6):
        told = F.linear(told, state[f"gt.time_embed.{layer}.weight"], state[f"gt.time_embed.{layer}.bias"])
        told = F.gelu(told) if layer < 6 else told
    for block in range(len(WIDTHS)):
        name = f"gt.blocks.{block}.net"
        x = F.conv2d(x, state[f"{name}.0.weight"], state[f"{name}.0.bias"], padding=3)
        norm = [state[f"{name}.1.{part}"] for part in ("weight", "bias")]
        x = F.gelu(F.layer_norm(x, norm[0].shape, *norm))
        if block == 0:
            x = x + told[:, :, None, None]
    last = f"gt.blocks.{len(WIDTHS)}"
    return F.conv2d(x, state[f"{last}.weight"], state[f"{last}.bias"], padding=1)


def main():
    generator = torch.Generator().manual_seed(4)
    state = weights(generator)
    file = HERE / "mnist_ddpm.pth"
    torch.save(state, file)
    x = torch.randn((3, CHANNELS, SIZE, SIZE), generator=generator)
    times = torch.tensor([0.001, 0.3, 1.0])
    out = forward(state, x, times)
    golden = {
        "shape": list(x.shape),
        "times": times.tolist(),
        "x": x.flatten().tolist(),
        "out": out.flatten().tolist(),
    }
    (HERE / "mnist_ddpm.json").write_text(json.dumps(golden) + "\n")
    print(file.name, file.stat().st_size, "bytes; largest", out.abs().max().item())


main()
