"""Times the cells of `cargo xtask bench --peer` in deepinv; README.md says what a cell is.

First prints one JSON line `{program, cells}`; then answers each line of standard input, the name of a cell, with one JSON
line `{cell, ms}`. Threads are those of OMP_NUM_THREADS.
"""

import importlib.metadata
import itertools
import json
import math
import statistics
import sys
import time

import torch
from deepinv import optim, physics, sampling

SHAPE = (8, 3, 64, 64)
NOISE_STD = 0.05
# The free denoiser's factor: small, so that no guidance overshoots at the largest noise level.
FACTOR = 0.001
# Noise level of the chains' prior, and their steps: half of ULA's largest, and 50 times that for SK-ROCK.
PRIOR_SIGMA, ULA_STEP, SK_ROCK_STEP, STAGES = 0.1, 0.001, 0.05, 10
# Steps of a run, and how many runs are timed.
STEPS, RUNS = 50, 5
# When the denoiser was called.
calls = []


class Scaled(torch.nn.Module):
    """A denoiser that costs one pass over the image."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x, *_, **__):
        calls.append(time.perf_counter())
        return self.factor * x


def setting():
    """Half of the pixels, the same in all channels and images, and their noisy measurement."""
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(SHAPE[2:], generator=generator) < 0.5).float().expand(SHAPE[1:])
    operator = physics.Inpainting(
        img_size=SHAPE[1:], mask=mask.contiguous(), noise_model=physics.GaussianNoise(NOISE_STD)
    )
    return operator, operator(torch.full(SHAPE, 0.5))


def diffusion(sde, solver, fidelity=None, denoiser=None, end=0.0):
    """A run of the general sampler in float32 and in the range of the denoiser, its leanest form."""
    operator, y = setting()
    denoiser = denoiser or Scaled(FACTOR)
    lean = dict(dtype=torch.float32, minus_one_one=False)
    sde = sde(alpha=1.0, **lean)

    def run(steps):
        times = torch.linspace(1.0, end, steps + 1)
        posterior = sampling.PosteriorDiffusion(
            data_fidelity=fidelity,
            denoiser=denoiser,
            sde=sde,
            solver=solver(timesteps=times, rng=torch.Generator().manual_seed(0)),
            **lean,
        )
        return posterior(y, operator, x_init=SHAPE, denoise_output=False)

    return run


def ddrm():
    operator, y = setting()

    def run(steps):
        sigmas = torch.linspace(1.0, 0.0, steps).tolist()
        return sampling.DDRM(Scaled(FACTOR), sigmas=sigmas)(y, operator)

    return run


def diffpir():
    operator, y = setting()

    def run(steps):
        sampler = sampling.DiffPIR(Scaled(FACTOR), optim.L2(), sigma=NOISE_STD, max_iter=steps)
        return sampler(y, operator)

    return run


def chains(kernel, **settings):
    """A run of which each state is counted, without clipping."""
    operator, y = setting()

    def run(steps):
        sampler = kernel(
            optim.ScorePrior(Scaled(FACTOR)),
            optim.L2(sigma=NOISE_STD),
            sigma=PRIOR_SIGMA,
            max_iter=steps,
            thinning=1,
            burnin_ratio=0.0,
            clip=None,
            **settings,
        )
        return sampler(y, operator, seed=0)[0]

    return run


def cells():
    """The run of each cell, by its name."""
    vp, ve = sampling.VariancePreservingDiffusion, sampling.VarianceExplodingDiffusion
    ddpm, ddim, euler = sampling.DDPMSolver, sampling.DDIMSolver, sampling.EulerSolver
    dps = sampling.DPSDataFidelity(guidance="annealed")
    # Three iterations without an early end need a Jacobian with more than one eigenvalue.
    moments = sampling.MomentMatchingDataFidelity(cg_max_iter=3, cg_tol=0.0)
    ramp = Scaled(torch.linspace(0.5, 1.0, math.prod(SHAPE)).reshape(SHAPE))
    return {
        "dps": diffusion(vp, ddpm, dps),
        "pigdm": diffusion(vp, ddpm, sampling.PiGDMDataFidelity()),
        "moment-matching": diffusion(vp, ddpm, moments, ramp),
        "ald": diffusion(vp, ddpm, sampling.ALDDataFidelity()),
        "ddrm": ddrm(),
        "diffpir": diffpir(),
        "ve-euler": diffusion(ve, euler),
        "vp-euler": diffusion(vp, euler, end=0.001),
        "ddim": diffusion(vp, ddim),
        "ddpm": diffusion(vp, ddpm),
        "ula": chains(sampling.ULA, step_size=ULA_STEP),
        "sk-rock": chains(sampling.SKRock, step_size=SK_ROCK_STEP, inner_iter=STAGES),
    }


def ms_per_step(run):
    """The median step of the best run.

    A step lasts from a call of the denoiser to the same call in the next step, so that what is done once in a run falls out.
    """
    medians = []
    for _ in range(RUNS):
        calls.clear()
        run(STEPS)
        starts = calls[:: len(calls) // STEPS]
        medians.append(statistics.median(b - a for a, b in itertools.pairwise(starts)))
    return 1e3 * min(medians)


def main():
    runs = cells()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("deepinv", "torch")]
    threads = f"{torch.get_num_threads()} thread(s)"
    print(json.dumps({"program": ", ".join([*versions, threads]), "cells": list(runs)}), flush=True)
    for line in sys.stdin:
        name = line.strip()
        if not torch.isfinite(runs[name](STEPS)).all():
            sys.exit(f"{name}: the run is not finite")
        print(json.dumps({"cell": name, "ms": ms_per_step(runs[name])}), flush=True)


if __name__ == "__main__":
    main()
