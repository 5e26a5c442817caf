"""Times the cells of `cargo xtask bench --peer` in deepinv and PyTorch; README.md says what a cell is, and what is asked and
answered. Threads are those of OMP_NUM_THREADS.
"""

import importlib.metadata
import itertools
import json
import math
import platform
import statistics
import sys
import time

import torch
from deepinv import optim, physics, sampling

import networks

# What follows the name of a cell, and the images of its batch.
BATCHES = {"": (1, "step"), "-x8": (8, "batched-step")}
IMAGE = (3, 64, 64)
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


def setting(shape):
    """Half of the pixels, the same in all channels and images, and their noisy measurement."""
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(IMAGE[1:], generator=generator) < 0.5).float().expand(IMAGE)
    operator = physics.Inpainting(
        img_size=IMAGE, mask=mask.contiguous(), noise_model=physics.GaussianNoise(NOISE_STD)
    )
    return operator, operator(torch.full(shape, 0.5))


def diffusion(shape, sde, solver, fidelity=None, denoiser=None, end=0.0):
    """A run of the general sampler in float32 and in the range of the denoiser, its leanest form."""
    operator, y = setting(shape)
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
        return posterior(y, operator, x_init=shape, denoise_output=False)

    return run


def ddrm(shape):
    operator, y = setting(shape)

    def run(steps):
        sigmas = torch.linspace(1.0, 0.0, steps).tolist()
        return sampling.DDRM(Scaled(FACTOR), sigmas=sigmas)(y, operator)

    return run


def diffpir(shape):
    operator, y = setting(shape)

    def run(steps):
        sampler = sampling.DiffPIR(Scaled(FACTOR), optim.L2(), sigma=NOISE_STD, max_iter=steps)
        return sampler(y, operator)

    return run


def chains(shape, kernel, **settings):
    """A run of which each state is counted, without clipping."""
    operator, y = setting(shape)

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


def runs(shape):
    """The run of each sampler, by its name."""
    vp, ve = sampling.VariancePreservingDiffusion, sampling.VarianceExplodingDiffusion
    ddpm, ddim, euler = sampling.DDPMSolver, sampling.DDIMSolver, sampling.EulerSolver
    dps = sampling.DPSDataFidelity(guidance="annealed")
    # Three iterations without an early end need a Jacobian with more than one eigenvalue.
    moments = sampling.MomentMatchingDataFidelity(cg_max_iter=3, cg_tol=0.0)
    ramp = Scaled(torch.linspace(0.5, 1.0, math.prod(shape)).reshape(shape))
    return {
        "dps": diffusion(shape, vp, ddpm, dps),
        "pigdm": diffusion(shape, vp, ddpm, sampling.PiGDMDataFidelity()),
        "moment-matching": diffusion(shape, vp, ddpm, moments, ramp),
        "ald": diffusion(shape, vp, ddpm, sampling.ALDDataFidelity()),
        "ddrm": ddrm(shape),
        "diffpir": diffpir(shape),
        "ve-euler": diffusion(shape, ve, euler),
        "vp-euler": diffusion(shape, vp, euler, end=0.001),
        "ddim": diffusion(shape, vp, ddim),
        "ddpm": diffusion(shape, vp, ddpm),
        "ula": chains(shape, sampling.ULA, step_size=ULA_STEP),
        "sk-rock": chains(shape, sampling.SKRock, step_size=SK_ROCK_STEP, inner_iter=STAGES),
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


class Cells:
    """Answers questions. Of the networks, the last one asked for is kept."""

    def __init__(self):
        self.runs, self.kinds, self.built = {}, {}, None
        for suffix, (batch, kind) in BATCHES.items():
            for name, run in runs((batch, *IMAGE)).items():
                self.runs[name + suffix] = run
                self.kinds[name + suffix] = kind
        for name, (*_, kind) in networks.CELLS.items():
            self.kinds[name] = kind

    def greeting(self):
        versions = [f"{name} {importlib.metadata.version(name)}" for name in ("deepinv", "torch")]
        program = [
            *versions,
            f"Python {platform.python_version()}",
            torch.backends.cpu.get_cpu_capability(),
        ]
        cells = [{"name": name, "kind": kind} for name, kind in self.kinds.items()]
        return {"program": ", ".join(program), "cells": cells}

    def answer(self, question):
        if question.startswith("memory "):
            name = question.removeprefix("memory ")
            return {"cell": name, **networks.Built(name).memory()}
        if question not in self.runs:
            return self.network(question)
        if not torch.isfinite(self.runs[question](STEPS)).all():
            sys.exit(f"{question}: the run is not finite")
        return {"cell": question, "ms": ms_per_step(self.runs[question])}

    def network(self, name):
        if self.built is None or self.built.name != name:
            self.built = networks.Built(name)
            self.built.step()
        return {**self.built.work(), "ms": self.built.ms()}


def main():
    cells = Cells()
    print(json.dumps(cells.greeting()), flush=True)
    for line in sys.stdin:
        print(json.dumps(cells.answer(line.strip())), flush=True)


if __name__ == "__main__":
    main()
