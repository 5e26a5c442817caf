"""Makes the folders diffusers_ddpm and diffusers_pipeline, as diffusers writes them, and diffusers.json, their networks' outputs.

The first is a small network of the kind of google/ddpm-cifar10-32. The second has the defaults of UNet2DModel, and the names
and the container of older files. Needs diffusers 0.42.1 and PyTorch 2.15.0. Usage: python make_diffusers.py
"""

import json
import shutil
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DModel

from formula import fill, rounded, shapes, tensor

HERE = Path(__file__).parent
STEP = 300
OLD_NAMES = {
    "to_q": "query",
    "to_k": "key",
    "to_v": "value",
    "to_out.0": "proj_attn",
}
# Fields that configurations did not have from the start.
NEWER = [
    "add_attention",
    "attn_norm_num_groups",
    "class_embed_type",
    "downsample_type",
    "dropout",
    "mid_block_type",
    "num_class_embeds",
    "num_train_timesteps",
    "resnet_time_scale_shift",
    "time_embedding_dim",
    "upsample_type",
]
DDPM = dict(flip_sin_to_cos=False, freq_shift=1, downsample_padding=0, norm_eps=1e-6)


def case(network, scheduler, number):
    fill(network)
    shape, labels = [2, 3, 8, 16], [3.0, 420.0]
    x = tensor(1000 + number, shape)
    alpha_bar = scheduler.alphas_cumprod[STEP]
    # The scheduler is told a state that preserves variance, of images in [-1, 1].
    state = alpha_bar.sqrt() * (2 * x - 1)
    output = network(state, torch.tensor(STEP)).sample
    clean = scheduler.step(output, STEP, state).pred_original_sample
    return {
        "shape": shape,
        "labels": labels,
        "raw": rounded(network(x, torch.tensor(labels)).sample),
        "sigma": float(((1 - alpha_bar) / alpha_bar).sqrt()) / 2,
        "denoised": rounded((clean + 1) / 2),
    }


def plain():
    network = UNet2DModel(
        sample_size=16,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=None,
        norm_num_groups=4,
        **DDPM,
    )
    scheduler = DDPMScheduler(clip_sample=False)
    found = case(network, scheduler, 0)
    folder = HERE / "diffusers_ddpm"
    network.save_pretrained(folder)
    scheduler.save_pretrained(folder)
    return found


def pipeline():
    network = UNet2DModel(
        sample_size=(8, 16),
        block_out_channels=(8, 8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        norm_num_groups=4,
    )
    scheduler = DDPMScheduler(
        num_train_timesteps=500,
        beta_start=0.002,
        beta_end=0.03,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
    )
    found = case(network, scheduler, 1)
    folder = HERE / "diffusers_pipeline"
    network.save_config(folder / "unet")
    scheduler.save_pretrained(folder / "scheduler")
    path = folder / "unet" / "config.json"
    config = json.loads(path.read_text())
    config = {name: value for name, value in config.items() if name not in NEWER}
    path.write_text(json.dumps(config, indent=2) + "\n")
    state = {}
    for name, value in network.state_dict().items():
        for new, old in OLD_NAMES.items():
            name = name.replace(new, old)
        state[name] = value
    torch.save(state, folder / "unet" / "diffusion_pytorch_model.bin")
    return found


def published():
    with torch.device("meta"):
        network = UNet2DModel(
            sample_size=32,
            block_out_channels=(128, 256, 256, 256),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=None,
            **DDPM,
        )
    return {"config": json.loads(network.to_json_string()), "tensors": shapes(network)}


for name in ("diffusers_ddpm", "diffusers_pipeline"):
    shutil.rmtree(HERE / name, ignore_errors=True)
with torch.no_grad():
    golden = {"ddpm": plain(), "pipeline": pipeline(), "cifar10": published()}
path = HERE / "diffusers.json"
path.write_text(json.dumps(golden) + "\n")
for each in [path, *HERE.glob("diffusers_*/**/*.*")]:
    if each.is_file():
        print(each.relative_to(HERE), each.stat().st_size, "bytes")
for name in ("ddpm", "pipeline"):
    print(name, {key: max(map(abs, golden[name][key])) for key in ("raw", "denoised")})
