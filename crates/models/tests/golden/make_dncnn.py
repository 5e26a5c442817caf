"""Small DnCNNs with seeded weights, in the five forms in which their weights are published, and what they make of one image.

    python make_dncnn.py    # PyTorch 2.15, deepinv 0.5.0
"""

import json
import pathlib

import deepinv
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
DEPTH, WIDTH, CHANNELS = 5, 6, 2


def sequence(head_bias, body_bias, tail_bias, norm=None):
    layers = [nn.Conv2d(CHANNELS, WIDTH, 3, padding=1, bias=head_bias), nn.ReLU()]
    for _ in range(DEPTH - 2):
        layers.append(nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=body_bias))
        if norm is not None:
            layers.append(nn.BatchNorm2d(WIDTH, eps=norm))
        layers.append(nn.ReLU())
    layers.append(nn.Conv2d(WIDTH, CHANNELS, 3, padding=1, bias=tail_bias))
    return nn.Sequential(*layers)


def awake(network, seed):
    """No weight is zero, no statistic is that of a fresh layer; a variance is small enough for its epsilon to matter."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(0.01 * (0.2 + noise.abs()))
        elif tensor.ndim == 1:
            tensor.copy_(0.1 * noise + (0.3 if name.endswith("weight") else 0.0))
        else:
            tensor.copy_(0.2 * noise)
    return network.eval()


def main():
    forms = {
        "kair": ("model", sequence(True, True, True)),
        "kair_norm": ("model", sequence(True, True, True, norm=1e-4)),
        "port_biased_head": ("dncnn", sequence(True, False, False, norm=1e-4)),
        "port": ("module.dncnn", sequence(False, False, False, norm=1e-5)),
        "deepinv": (None, deepinv.models.DnCNN(CHANNELS, CHANNELS, depth=DEPTH, nf=WIDTH, pretrained=None)),
    }
    x = torch.rand((2, CHANNELS, 7, 9), generator=torch.Generator().manual_seed(1))
    cases = []
    for seed, (name, (prefix, network)) in enumerate(forms.items()):
        awake(network, 10 + seed)
        with torch.no_grad():
            out = network(x) if prefix is None else x - network(x)
        state = {key if prefix is None else f"{prefix}.{key}": value for key, value in network.state_dict().items()}
        file = HERE / f"dncnn_{name}.pth"
        torch.save(state, file)
        cases.append({"file": file.name, "denoised": out.flatten().tolist()})
        print(file.name, file.stat().st_size, "bytes, change", (out - x).abs().max().item())
    golden = {"shape": list(x.shape), "x": x.flatten().tolist(), "cases": cases}
    (HERE / "dncnn.json").write_text(json.dumps(golden) + "\n")


main()
