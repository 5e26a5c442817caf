"""Weights that are a formula, so that golden files of networks need not hold them.

Number i of the tensor at place k of the sorted names is `offset + scale u(k, i)`, in single precision, where u is a number in
[-1, 1) from the finaliser of splitmix64 of `2^32 k + i`. Images are `u(1000 + case, i)`.
"""

import math

import numpy as np
import torch

# Tables and filters, which are not trained.
FIXED = ("resample_filter", "alphas_cumprod")


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
    if name.endswith("bias"):
        return 0.0, 0.25
    if len(shape) == 1:
        return 1.0, 0.25
    return 0.0, 2.0 ** round(math.log2(math.sqrt(3 / math.prod(shape[1:]))))


def tensor(place, shape, offset=0.0, scale=1.0):
    values = offset + scale * uniform(place, math.prod(shape))
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def fill(network, affine=affine):
    """Gives a network its weights, of the offsets and scales of `affine`; returns `{name: {shape, offset, scale}}`."""
    state, tensors = network.state_dict(), {}
    for place, name in enumerate(sorted(state)):
        shape = list(state[name].shape)
        offset, scale = affine(name, shape)
        tensors[name] = {"shape": shape, "offset": offset, "scale": scale}
        if not name.endswith(FIXED):
            state[name] = tensor(place, shape, offset, scale)
    network.load_state_dict(state)
    network.eval()
    return tensors


def rounded(x):
    return [float(f"{value:.9g}") for value in x.flatten().tolist()]


def shapes(network):
    return {name: list(value.shape) for name, value in network.state_dict().items()}
