"""Makes adm.json: outputs of small ADM networks of deepinv, with the weights of formula.py, and the tensors of its full ones.

Needs deepinv 0.5.0 and PyTorch 2.15.0. Usage: python make_adm.py
"""

import inspect
import json
import math
import textwrap
from pathlib import Path

import torch
from deepinv.models import ADMUNet, DiffUNet, diffunet

from formula import fill, rounded, shapes, tensor

SIZE = 16
STEP = 300


def guided(changes, **arguments):
    """deepinv's network, which has sizes written into its constructor, with others."""
    source = textwrap.dedent(inspect.getsource(DiffUNet.__init__))
    for old, new in [("super().__init__()", "Denoiser.__init__(self)"), *changes]:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    scope = dict(vars(diffunet))
    exec(source, scope)
    network = DiffUNet.__new__(DiffUNet)
    scope["__init__"](network, pretrained=None, **arguments)
    return network


BLOCKS = [
    ("model_channels = 128", "model_channels = 64"),
    ("channel_mult = (1, 1, 2, 2, 4, 4)", "channel_mult = (1, 2, 1)"),
    ("img_size = 256", f"img_size = {SIZE}"),
    ('attention_resolutions = "16"', 'attention_resolutions = "8"'),
]

CONVOLUTIONS = [
    ("model_channels = 128", "model_channels = 32"),
    ("num_res_blocks = 1", "num_res_blocks = 2"),
    ("channel_mult = (1, 1, 2, 2, 4, 4)", "channel_mult = (1, 2)"),
    ("img_size = 256", f"img_size = {SIZE}"),
    ("num_head_channels = 64", "num_head_channels = -1"),
    ("use_scale_shift_norm = True", "use_scale_shift_norm = False"),
    ("resblock_updown = True", "resblock_updown = False"),
]


def guided_case(network, number):
    tensors = fill(network)
    channels, labels = network.in_channels, [3.0, 420.0]
    shape = [2, channels, 8, SIZE]
    x = tensor(1000 + number, shape)
    # A level of the table, where rounding to the nearest changes nothing.
    level = network.sqrt_1m_alphas_cumprod[STEP] / network.sqrt_alphas_cumprod[STEP]
    sigma = float(level) / 2
    raw = network.forward_diffusion(x, torch.tensor(labels))[:, :channels]
    case = {"tensors": tensors, "shape": shape, "labels": labels, "raw": rounded(raw)}
    if channels == 3:
        case["sigma"] = sigma
        case["clipped"] = rounded(network.forward_denoise(x, sigma))
    return case


def told_case(number):
    """Of a network that is told a class, and told none: its embedding of a class left out."""
    network = guided([("num_classes = None", "num_classes = 5"), *CONVOLUTIONS], in_channels=1, out_channels=1)
    tensors, labels, classes = fill(network), [3.0, 420.0], [4, 1]
    shape = [2, 1, 8, SIZE]
    x = tensor(1000 + number, shape)

    def run():
        return rounded(network.forward_diffusion(x, torch.tensor(labels), torch.tensor(classes))[:, :1])

    case = {"tensors": tensors, "shape": shape, "labels": labels, "classes": classes, "raw": run()}
    network.label_emb.weight.zero_()
    return case | {"untold": run()}


def edm_case(number):
    network = ADMUNet(
        img_resolution=SIZE,
        model_channels=64,
        channel_mult=(1, 2, 1),
        num_blocks=1,
        attn_resolutions=[8],
        pretrained=None,
        _was_trained_on_minus_one_one=True,
        pixel_std=0.5,
    )
    tensors = fill(network)
    shape, labels, sigma = [2, 3, 8, SIZE], [-1.2, 0.7], 0.3
    x = tensor(1000 + number, shape)
    raw = network.forward_unet(x, torch.tensor(labels))
    return {
        "tensors": tensors,
        "shape": shape,
        "labels": labels,
        "raw": rounded(raw),
        "sigma": sigma,
        "denoised": rounded(network(x, sigma)),
    }


with torch.no_grad():
    grey = guided(CONVOLUTIONS, in_channels=1, out_channels=1)
    golden = {
        "guided": guided_case(guided(BLOCKS), 0),
        "convolutions": guided_case(grey, 1),
        "edm": edm_case(2),
        "told": told_case(3),
    }
    with torch.device("meta"):
        golden["published"] = {
            "ffhq": shapes(DiffUNet(pretrained=None)),
            "imagenet": shapes(DiffUNet(large_model=True, pretrained=None)),
            "edm": shapes(ADMUNet(pretrained=None)),
        }
path = Path(__file__).with_name("adm.json")
path.write_text(json.dumps(golden) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
for name in ("guided", "convolutions", "edm", "told"):
    found = golden[name]
    outputs = {key: found[key] for key in ("raw", "clipped", "denoised", "untold") if key in found}
    largest = {key: max(map(abs, values)) for key, values in outputs.items()}
    count = sum(math.prod(each["shape"]) for each in found["tensors"].values())
    print(name, len(found["tensors"]), "tensors,", count, "numbers, largest outputs", largest)
