"""Makes plain_unet.json: outputs of small U-Nets of deepinv, with the weights of formula.py; images are
`(1 + u(1000 + case, i))/2`.

Needs deepinv 0.5.0 and PyTorch 2.15.0. Usage: python make_plain_unet.py
"""

import json
import math
from pathlib import Path

import deepinv
import torch

from formula import fill, rounded, tensor


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


def case(number, name, **options):
    network = deepinv.models.UNet(2, 2, channels_per_scale=[4, 8, 12], **options).eval()
    bias_free = options.get("batch_norm") == "biasfree"
    tensors = fill(network, lambda *tensor: affine(*tensor, bias_free))
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
