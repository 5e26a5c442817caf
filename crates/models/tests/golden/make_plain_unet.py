"""Makes plain_unet.json: outputs of small U-Nets of deepinv, with weights that are a formula.

The weights are not stored. Number i of the tensor at place k of the sorted names is `offset + scale u(k, i)`, in single precision,
where u is a number in [-1, 1) from the finaliser of splitmix64 of `2^32 k + i`; images are `(1 + u(1000 + case, i))/2`.
Needs deepinv 0.5.0 and PyTorch 2.15.0. Usage: python make_plain_unet.py
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


def affine(name, shape, bias_free):
    """Offset and scale, both exact in single precision, so that no layer is zero or silent and numbers stay near 1."""
    if name.endswith("num_batches_tracked"):
        return 7.0, 0.0
    if name.endswith("running_var"):
        # Small where the two normalisations differ most.
        return (0.0625, 0.03125) if bias_free else (1.0, 0.5)
    # What the bias-free normalisation does not use stays as it was.
    if name.endswith(("bias", "running_mean")):
        return 0.0, 0.0 if bias_free else 0.25
    if len(shape) == 1:
        return (0.25, 0.0625) if bias_free else (1.0, 0.25)
    fan_in = math.prod(shape[1:])
    return 0.0, 2.0 ** round(math.log2(math.sqrt(6 / fan_in)))


def tensor(place, shape, offset=0.0, scale=1.0):
    values = offset + scale * uniform(place, math.prod(shape))
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def rounded(x):
    return [float(f"{value:.9g}") for value in x.flatten().tolist()]


def case(number, name, **options):
    network = deepinv.models.UNet(2, 2, channels_per_scale=[4, 8, 12], **options).eval()
    state = network.state_dict()
    tensors = {}
    for place, key in enumerate(sorted(state)):
        shape = list(state[key].shape)
        offset, scale = affine(key, shape, options.get("batch_norm") == "biasfree")
        tensors[key] = {"shape": shape, "offset": offset, "scale": scale}
        state[key] = tensor(place, shape, offset, scale)
    network.load_state_dict(state)
    outputs = []
    for shape in ([2, 2, 8, 12], [1, 2, 9, 6]):
        with torch.no_grad():
            out = network(tensor(1000 + number, shape, 0.5, 0.5), 0.1)
        outputs.append({"shape": shape, "out": rounded(out)})
    return {
        "name": name,
        "residual": options.get("residual", True),
        "circular_padding": options.get("circular_padding", False),
        "tensors": tensors,
        "outputs": outputs,
    }


cases = [
    case(0, "norms"),
    case(1, "no norms", batch_norm=False),
    case(2, "norms, no biases", bias=False),
    case(3, "bias-free norms", bias=False, batch_norm="biasfree"),
    case(4, "no norms, no biases", bias=False, batch_norm=False),
    case(5, "circular padding", batch_norm=False, circular_padding=True),
    case(6, "no residual", batch_norm=False, residual=False),
]
path = Path(__file__).with_name("plain_unet.json")
path.write_text(json.dumps({"cases": cases}) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
for each in cases:
    largest = [max(map(abs, output["out"])) for output in each["outputs"]]
    print(each["name"], len(each["tensors"]), "tensors, largest outputs", largest)
