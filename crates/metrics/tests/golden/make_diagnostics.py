"""Makes diagnostics.json: chains, and what ArviZ says of them.

    python make_diagnostics.py

needs arviz 0.23 and numpy; the versions that were used are printed, and stand in the file. The draws come from a fixed
seed and are rounded to six digits before ArviZ sees them, so that the file itself is the truth. Constant chains stand at
binary fractions, of others ArviZ tells the rounding of their mean.
A null is a number that ArviZ does not give: R-hat of a single chain, and what is 0/0 of draws that are all the same.
"""

import json
import math
import platform
import warnings
from pathlib import Path

import arviz
import numpy
import scipy
from arviz.stats.stats_utils import autocorr

SEED = 20210601
LAGS = 40


def autoregressive(rng, chains, draws, rho):
    """Stationary, of unit variance."""
    x = numpy.empty((chains, draws))
    x[:, 0] = rng.normal(size=chains)
    for t in range(1, draws):
        x[:, t] = rho * x[:, t - 1] + math.sqrt(1 - rho**2) * rng.normal(size=chains)
    return x


def sets(rng):
    yield "autoregressive 0.9", autoregressive(rng, 4, 500, 0.9)
    yield "autoregressive 0.99", autoregressive(rng, 2, 1000, 0.99)
    yield "autoregressive 0.5, one chain", autoregressive(rng, 1, 301, 0.5)
    yield "antithetic", autoregressive(rng, 4, 250, -0.7)
    yield "independent", 3.0 + 0.1 * rng.normal(size=(4, 250))
    yield "different means", autoregressive(rng, 3, 200, 0.3) + numpy.array([[0.0], [0.5], [3.0]])
    yield "different scales", rng.normal(size=(4, 150)) * numpy.array([[1.0], [1.0], [1.0], [4.0]])
    yield "a trend", rng.normal(size=(4, 101)) + numpy.linspace(-2, 2, 101)
    yield "Cauchy", rng.standard_cauchy(size=(4, 400))
    yield "short, odd", rng.normal(size=(3, 7))
    yield "shortest", rng.normal(size=(2, 4))
    yield "five draws", rng.normal(size=(2, 5))
    yield "counts", rng.poisson(2.0, size=(4, 151))
    yield "rarely moves", numpy.repeat(rng.normal(size=(4, 9)), 11, axis=1)
    yield "alternates", numpy.tile([0.0, 1.0], (2, 20))
    yield "two values", rng.integers(0, 2, size=(3, 60))
    yield "constant", numpy.full((3, 12), 0.5)
    yield "constant at different values", numpy.repeat([[0.25], [0.5], [0.5]], 12, axis=1)


def number(value):
    value = float(value)
    return None if math.isnan(value) else "infinite" if math.isinf(value) else value


def judged(name, x):
    return {
        "name": name,
        "chains": x.tolist(),
        "split_rhat": number(arviz.rhat(x, method="split")),
        "rank_rhat": number(arviz.rhat(x, method="rank")),
        "ess": number(arviz.ess(x, method="mean")),
        "bulk_ess": number(arviz.ess(x, method="bulk")),
        "tail_ess": number(arviz.ess(x, method="tail")),
        "mcse": number(arviz.mcse(x, method="mean")),
        "autocorrelation": [number(rho) for rho in autocorr(x[0])[:LAGS]],
    }


def main():
    versions = {
        "arviz": arviz.__version__,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "python": platform.python_version(),
    }
    print(versions)
    warnings.simplefilter("ignore")
    rng = numpy.random.default_rng(SEED)
    found = [judged(name, numpy.round(x.astype(float), 6)) for name, x in sets(rng)]
    path = Path(__file__).with_name("diagnostics.json")
    path.write_text(json.dumps({"versions": versions, "sets": found}, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
