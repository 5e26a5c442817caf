"""Checkpoints of one tiny DRUNet (1 channel, widths 2 and 3, one block a level) in every form that is read, and some that
are refused. Number j of tensor i is ((37 i + 11 j) mod 17 - 8)/8, which half precision and bfloat16 hold exactly."""

import collections
import pathlib
import zipfile

import safetensors.torch
import torch

FOLDER = pathlib.Path(__file__).parent / "import"

SHAPES = {
    "m_head.weight": (2, 2, 3, 3),
    "m_down1.0.res.0.weight": (2, 2, 3, 3),
    "m_down1.0.res.2.weight": (2, 2, 3, 3),
    "m_down1.1.weight": (3, 2, 2, 2),
    "m_body.0.res.0.weight": (3, 3, 3, 3),
    "m_body.0.res.2.weight": (3, 3, 3, 3),
    "m_up1.0.weight": (3, 2, 2, 2),
    "m_up1.1.res.0.weight": (2, 2, 3, 3),
    "m_up1.1.res.2.weight": (2, 2, 3, 3),
    "m_tail.weight": (1, 2, 3, 3),
}


def weights(dtype=torch.float32, scale=1.0):
    result = collections.OrderedDict()
    for i, (name, shape) in enumerate(SHAPES.items()):
        j = torch.arange(torch.Size(shape).numel())
        values = ((37 * i + 11 * j) % 17 - 8) / 8 * scale
        result[name] = values.reshape(shape).to(dtype)
    return result


def prefixed(prefix, values):
    return collections.OrderedDict((prefix + name, value) for name, value in values.items())


def save(name, value, **options):
    torch.save(value, FOLDER / name, **options)


FOLDER.mkdir(exist_ok=True)
plain = weights()
save("zip.pth", plain)
save("legacy.pth", plain, _use_new_zipfile_serialization=False)
save("legacy4.pth", plain, _use_new_zipfile_serialization=False, pickle_protocol=4)
save("half.pth", weights(torch.float16))
save("bfloat16.pth", weights(torch.bfloat16))
save("double.pth", weights(torch.float64))
save("strided.pth", {n: w.contiguous(memory_format=torch.channels_last) for n, w in plain.items()})
parameters = [torch.nn.Parameter(w.clone()) for w in plain.values()]
optimizer = torch.optim.Adam(parameters)
sum(p.square().sum() for p in parameters).backward()
optimizer.step()
training = {"epoch": 7, "optimizer": optimizer.state_dict(), "loss": torch.tensor(0.5)}
save("training.pth", training | {"state_dict": prefixed("module.", plain)})
save("lightning.pth", {"pytorch-lightning_version": "2.4", "state_dict": prefixed("model.", plain)})
save("compiled.pth", {"model": prefixed("_orig_mod.module.", plain), "step": 3})
other = weights(scale=0.5)
save("average.pth", {"params": other, "params_ema": plain})
save("half_average.pth", {"params": plain, "params_ema": dict(list(other.items())[:3])})
for name, dtype in [("f16", torch.float16), ("bf16", torch.bfloat16), ("f32", torch.float32), ("f64", torch.float64)]:
    safetensors.torch.save_file(dict(weights(dtype)), FOLDER / f"{name}.safetensors")

# Refused.
torch.jit.script(torch.nn.Conv2d(1, 1, 3)).save(FOLDER / "script.pt")
save("numbers.pth", {"epoch": 7, "losses": [0.5, 0.25]})
save("list.pth", [1, 2, 3])
save("expanded.pth", plain | {"m_head.weight": torch.zeros(1).expand(2, 2**28, 3, 1)})
save("integers.pth", {n: w.to(torch.int64) for n, w in plain.items()})
save("counted.pth", plain | {"steps": torch.tensor(3)})
with zipfile.ZipFile(FOLDER / "compressed.pth", "w", zipfile.ZIP_DEFLATED) as target:
    with zipfile.ZipFile(FOLDER / "zip.pth") as source:
        for entry in source.namelist():
            target.writestr(entry, source.read(entry))
    target.writestr("zip/data/99", bytes(2**20))

for path in sorted(FOLDER.iterdir()):
    print(path.name, path.stat().st_size)
