"""Makes ncsnpp.json: outputs of small NCSN++ and DDPM++ networks of deepinv, with the weights of formula.py.

Needs deepinv 0.5.0 and PyTorch 2.15.0. Usage: python make_ncsnpp.py
"""

import json
import math
from pathlib import Path

import deepinv
import torch

import formula
from formula import fill, rounded, tensor


def affine(name, shape):
    """The frequencies of the label, as they are drawn; all else as the others."""
    return (0.0, 16.0) if name.endswith("freqs") else formula.affine(name, shape)


def case(model_type, multipliers, blocks, resolutions, number):
    network = deepinv.models.NCSNpp(
        model_type=model_type,
        img_resolution=16,
        model_channels=32,
        channel_mult=multipliers,
        num_blocks=blocks,
        attn_resolutions=resolutions,
        pretrained=None,
        _was_trained_on_minus_one_one=True,
        pixel_std=0.5,
    )
    tensors = fill(network, affine)
    shape, labels, sigma = [2, 3, 8, 16], [-1.2, 0.7], 0.3
    with torch.no_grad():
        raw = network.forward_unet(tensor(1000 + number, shape), torch.tensor(labels))
        denoised = network(tensor(1000 + number, shape), sigma)
    return {
        "model_type": model_type,
        "channel_multipliers": multipliers,
        "blocks_per_level": blocks,
        "attention_levels": [int(math.log2(16 // r)) for r in resolutions],
        "tensors": tensors,
        "shape": shape,
        "labels": labels,
        "raw": rounded(raw),
        "sigma": sigma,
        "denoised": rounded(denoised),
    }


cases = [case("ncsn", [1, 2, 1], 1, [8], 0), case("ddpm", [1, 2], 2, [16, 8], 1)]
path = Path(__file__).with_name("ncsnpp.json")
path.write_text(json.dumps({"cases": cases}) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
for each in cases:
    largest = [max(map(abs, each[key])) for key in ("raw", "denoised")]
    print(each["model_type"], len(each["tensors"]), "tensors, largest outputs", largest)
