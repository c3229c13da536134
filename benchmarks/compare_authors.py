#!/usr/bin/python3
"""Compares decorr with the public code of CRGD's authors on this machine: the same networks, data and settings.

Takes a checkout of https://github.com/nasiryahm/CorrelationsRuinGD. Prints, for their dense and their
convolutional network on CIFAR-10, the time of a training step plain and decorrelated of both programs (measured
in turns, median and quartiles), and the relative off-diagonal energy of every layer's input over 200 updates.
Needs decorr_step_benchmark (the benchmarks are built by default) and Debian's python3-torch.

Usage: benchmarks/compare_authors.py CHECKOUT [--program PROGRAM] [--rounds 3] [--steps 10] [--skip-energy]
"""

import argparse
import importlib
import io
import json
import os
import subprocess
import sys
import time
import types
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median, quantiles

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import numpy as np  # noqa: E402
import torch  # noqa: E402

MEASURED = (0, 20, 50, 100, 200)
BATCH = {"dense": 256, "conv": 128}
LR = 1e-4


class Failure(Exception):
    """What went wrong, where, and how to mend it."""


def import_authors(checkout: Path):
    """The authors' crgd.models. Their package imports torchvision for what is not used here."""
    if not (checkout / "crgd" / "models.py").is_file():
        raise Failure(f"no crgd/models.py, {checkout}, give a checkout of nasiryahm/CorrelationsRuinGD")
    package = types.ModuleType("crgd")
    package.__path__ = [str(checkout / "crgd")]
    sys.modules["crgd"] = package
    return importlib.import_module("crgd.models"), importlib.import_module("crgd.bp")


def cifar10(folder: Path):
    """Training images, labels, test images; normalised per channel, as decorr_step_benchmark does."""
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"

    def read(name):
        path = folder / name
        if not path.is_file():
            raise Failure(f"no {name}, {folder}, run scripts/fetch_cifar10.py or give --data")
        records = np.fromfile(path, np.uint8).reshape(-1, 3073)
        return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)

    parts = [read(f"data_batch_{i}.bin") for i in range(1, 6)]
    images = np.concatenate([part[0] for part in parts])
    mean = (images / 255.0).mean((0, 2, 3), keepdims=True)
    std = (images / 255.0).std((0, 2, 3), keepdims=True)

    def normalise(pixels):
        return torch.from_numpy(((pixels / 255.0 - mean) / std).astype(np.float32))

    labels = torch.from_numpy(np.concatenate([part[1] for part in parts]))
    return normalise(images), labels, normalise(read("test_batch.bin")[0][:1000])


class Authors:
    """The authors' network and training step."""

    def __init__(self, code, kind: str, decor_lr: float, data):
        models, bp = code
        torch.manual_seed(42)
        with redirect_stdout(io.StringIO()):  # their constructors print the network
            if kind == "dense":
                self.model = models.DenseNet(3072, 10, bp.BPLinear, torch.nn.LeakyReLU, True, decor_lr)
            else:
                self.model = models.ConvNet([3, 32, 32], 100, 10, bp.BPConv2d, torch.nn.LeakyReLU, True, decor_lr)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LR, betas=(0.9, 0.9999), eps=1e-8)
        self.loss = torch.nn.CrossEntropyLoss(reduction="none")
        self.images, self.labels, self.probe = data
        self.batch, self.steps = BATCH[kind], 0

    def step(self) -> float:
        """One training step as in their train(); its seconds."""
        begin = self.steps % (len(self.images) // self.batch) * self.batch
        data, target = self.images[begin:begin + self.batch], self.labels[begin:begin + self.batch]
        start = time.perf_counter()
        self.optimizer.zero_grad()
        self.model.train_step(data, target, None, lambda output, labels, _: self.loss(output, labels))
        self.optimizer.step()
        seconds = time.perf_counter() - start
        self.steps += 1
        return seconds

    def energies(self) -> list[float]:
        """Relative off-diagonal energy of the decorrelated input of each layer, in evaluation mode."""
        rows = []
        hooks = [module.decor.register_forward_hook(lambda _, __, output: rows.append(sampled(output)))
                 for module in self.model.modules() if hasattr(module, "decor")]
        self.model.eval()
        with torch.no_grad():
            self.model(self.probe)
        for hook in hooks:
            hook.remove()
        return [energy(u) for u in rows]


def sampled(output: torch.Tensor) -> torch.Tensor:
    """At most 4096 rows, evenly spread, of [N, n] or [N, n, H, W], as decorr samples them."""
    if output.dim() == 2:
        return output
    rows = output.permute(0, 2, 3, 1).reshape(-1, output.shape[1])
    count = min(4096, len(rows))
    return rows[torch.arange(count) * len(rows) // count]


def energy(u: torch.Tensor) -> float:
    """Unbiased estimate from two halves; see off_diagonal_energy in decorr/analysis/correlation.h."""
    u = (u - u.mean(0)).double()
    half = len(u) // 2
    first, second = u[:half], u[half:2 * half]
    total = (first @ second.T).square().sum() / half**2
    diagonal = (first.square().mean(0) * second.square().mean(0)).sum()
    return float((total - diagonal) / diagonal)


def ours(program: Path, kind: str, data: Path, **options) -> dict:
    """What decorr_step_benchmark measures."""
    arguments = {"model": {"dense": "mlp", "conv": "convnet"}[kind], "batch": BATCH[kind], "lr": LR,
                 "root": data, "threads": torch.get_num_threads(), **options}
    command = [str(program)] + [f"--{key.replace('_', '-')}={value}" for key, value in arguments.items()]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Failure(f"decorr_step_benchmark failed, {' '.join(command)}, {result.stderr.strip()}")
    return json.loads(result.stdout)


def cell(seconds: list[float], base: float) -> str:
    low, _, high = quantiles(seconds, n=4)
    return f"{median(seconds):.4f} ({low:.4f}–{high:.4f}) | {median(seconds) / base:.2f}"


def times(code, kind: str, data, args) -> None:
    """Prints the table of step times, each program in turn, round by round."""
    columns: dict[str, list[float]] = {"authors, plain": [], "authors, decorrelated": [],
                                       "decorr, plain": [], "decorr, decorrelated": []}
    theirs = {"authors, plain": Authors(code, kind, 0, data),
              "authors, decorrelated": Authors(code, kind, 1e-5, data)}
    methods = {"decorr, plain": "none", "decorr, decorrelated": "norm-preserving"}
    for name, network in theirs.items():
        for _ in range(2):
            network.step()
    for _ in range(args.rounds):
        for name, network in theirs.items():
            columns[name] += [network.step() for _ in range(args.steps)]
        for name, method in methods.items():
            columns[name] += ours(args.program, kind, args.data, method=method, steps=args.steps)["seconds"]
    base = median(columns["authors, plain"])
    print(f"\n{kind} network, batch {BATCH[kind]}, {torch.get_num_threads()} threads\n")
    print("| | seconds a step, median (quartiles) | ratio to authors, plain |\n|---|---|---|")
    for name, seconds in columns.items():
        print(f"| {name} | {cell(seconds, base)} |")


def decorrelation(code, kind: str, data, args) -> None:
    """Prints the off-diagonal energy of each layer over the updates of both."""
    network = Authors(code, kind, 1e-5, data)
    theirs = {0: network.energies()}
    for update in range(1, MEASURED[-1] + 1):
        network.step()
        if update in MEASURED:
            theirs[update] = network.energies()
    at = ",".join(map(str, MEASURED))
    runs = {"authors, η = 1e-5": theirs}
    for name, preset in {"decorr, preset published": "published", "decorr, default": "default"}.items():
        result = ours(args.program, kind, args.data, preset=preset, steps=MEASURED[-1], warmup=0, measure_at=at)
        runs[name] = {int(key): value for key, value in result["energy"].items()}
    print(f"\n{kind} network: relative off-diagonal energy of u, layer by layer\n")
    print("| updates | " + " | ".join(runs) + " |\n|---" + "|---" * len(runs) + "|")
    for update in MEASURED:
        cells = [" ".join(f"{value:.2f}" for value in run[update]) for run in runs.values()]
        print(f"| {update} | " + " | ".join(cells) + " |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("checkout", type=Path, help="checkout of the authors' repository")
    parser.add_argument("--program", type=Path, default=root / "build/release/benchmarks/decorr_step_benchmark")
    cache = Path(os.environ.get("DECORR_DATA", Path.home() / ".cache/decorr")) / "cifar10"
    parser.add_argument("--data", type=Path, default=cache, help="folder of CIFAR-10's binary files")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each program")
    parser.add_argument("--steps", type=int, default=10, help="timed steps a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip-energy", action="store_true", help="times only")
    args = parser.parse_args()
    try:
        if not args.program.is_file():
            raise Failure(f"no program, {args.program}, build decorr_step_benchmark or give --program")
        torch.set_num_threads(args.threads)
        code = import_authors(args.checkout)
        data = cifar10(args.data)
        for kind in ("dense", "conv"):
            times(code, kind, data, args)
        for kind in () if args.skip_energy else ("dense", "conv"):
            decorrelation(code, kind, data, args)
    except Failure as failure:
        print(f"compare_authors: error: {failure}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
