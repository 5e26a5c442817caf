"""Makes ncsnpp.json: outputs of small NCSN++ and DDPM++ networks of deepinv, with weights that are a formula.

The weights are not stored. Number i of the tensor at place k of the sorted names is `offset + scale u(k, i)`, in single precision,
where u is a number in [-1, 1) from the finaliser of splitmix64 of `2^32 k + i`; images are `u(1000 + case, i)`.
Needs deepinv 0.5.0 and PyTorch 2.15.0. Usage: python make_ncsnpp.py
"""

import json
import math
from pathlib import Path

import deepinv
import numpy as np
import torch


def uniform(place, count):
    z = np.arange(count, dtype=np.uint64) + np.uint64(place << 32)
    with np.errstate(over="ignore"):
        z += np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def affine(name, shape):
    """Offset and scale, both exact in single precision, so that no layer is zero or silent and numbers stay near 1."""
    if name.endswith("freqs"):
        return 0.0, 16.0
    if name.endswith("bias"):
        return 0.0, 0.25
    if len(shape) == 1:
        return 1.0, 0.25
    fan_in = math.prod(shape[1:])
    return 0.0, 2.0 ** round(math.log2(math.sqrt(3 / fan_in)))


def tensor(place, shape, offset=0.0, scale=1.0):
    values = offset + scale * uniform(place, math.prod(shape))
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def rounded(x):
    return [float(f"{value:.9g}") for value in x.flatten().tolist()]


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
    state = network.state_dict()
    tensors = {}
    for place, name in enumerate(sorted(state)):
        shape = list(state[name].shape)
        offset, scale = affine(name, shape)
        tensors[name] = {"shape": shape, "offset": offset, "scale": scale}
        # The filters are not trained.
        if "resample_filter" not in name:
            state[name] = tensor(place, shape, offset, scale)
    network.load_state_dict(state)
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
