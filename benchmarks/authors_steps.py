#!/usr/bin/python3
"""Times training steps of the networks in the public code of CRGD's authors, on the first images of CIFAR-10.

Prints one line of JSON as decorr_step_benchmark does, with the same steps and measurements; for
compare_reference.py.
"""

import importlib
import io
import json
import sys
import time
import types
from contextlib import redirect_stdout
from pathlib import Path

from turns import (BATCH, LR, NETWORKS, BadUsage, LineParser, add_step_options, cifar10_file,
                   cifar10_folder, exit_code_of, import_torch)


def import_authors(checkout: Path):
    """The authors' modules models and bp. Their package imports torchvision for what is not used here."""
    if not (checkout / "crgd" / "models.py").is_file():
        raise BadUsage(f"there is no crgd/models.py, {checkout}, "
                       "give a checkout of nasiryahm/CorrelationsRuinGD")
    package = types.ModuleType("crgd")
    package.__path__ = [str(checkout / "crgd")]
    sys.modules["crgd"] = package
    return importlib.import_module("crgd.models"), importlib.import_module("crgd.bp")


class Cifar10:
    """Images and labels, normalised per channel as decorr_step_benchmark does."""

    def __init__(self, torch, folder: Path):
        import numpy

        def read(name: str):
            try:
                records = numpy.fromfile(cifar10_file(folder, name), numpy.uint8).reshape(-1, 3073)
            except (OSError, ValueError) as error:
                raise BadUsage(f"cannot read the data ({error}), {folder / name}, "
                               "run decorr data fetch cifar10 or give --root") from None
            return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(numpy.int64)

        parts = [read(f"data_batch_{i}.bin") for i in range(1, 6)]
        self.images = numpy.concatenate([images for images, _ in parts])
        self.labels = torch.from_numpy(numpy.concatenate([labels for _, labels in parts]))
        self.test_images = read("test_batch.bin")[0]
        mean = self.images.mean((0, 2, 3), keepdims=True)
        variance = numpy.square(self.images, dtype=numpy.uint16).mean((0, 2, 3), keepdims=True) - mean**2
        self.normalise = lambda pixels: torch.from_numpy(
            ((pixels - mean) / numpy.sqrt(variance)).astype(numpy.float32))

    def batch(self, step: int, size: int):
        begin = step % (len(self.images) // size) * size
        return self.normalise(self.images[begin:begin + size]), self.labels[begin:begin + size]


def make_model(torch, checkout: Path, network: str, decor_lr: float):
    models, bp = import_authors(checkout)
    torch.manual_seed(42)
    with redirect_stdout(io.StringIO()):  # the constructors print the network
        if network == "dense":
            return models.DenseNet(3072, 10, bp.BPLinear, torch.nn.LeakyReLU, True, decor_lr)
        return models.ConvNet([3, 32, 32], 100, 10, bp.BPConv2d, torch.nn.LeakyReLU, True, decor_lr)


def energies(torch, model, probe) -> list[float]:
    """Relative off-diagonal energy of the decorrelated input of each layer, in evaluation mode."""
    rows = []
    hooks = [module.decor.register_forward_hook(lambda _, __, output: rows.append(sampled(torch, output)))
             for module in model.modules() if hasattr(module, "decor")]
    model.eval()
    with torch.no_grad():
        model(probe)
    for hook in hooks:
        hook.remove()
    return [energy(u) for u in rows]


def sampled(torch, output):
    """At most 4096 rows, evenly spread, of [N, n] or [N, n, H, W], as decorr samples them."""
    if output.dim() == 2:
        return output
    rows = output.permute(0, 2, 3, 1).reshape(-1, output.shape[1])
    count = min(4096, len(rows))
    return rows[torch.arange(count) * len(rows) // count]


def energy(u) -> float:
    """Unbiased estimate from two halves; see off_diagonal_energy in decorr/analysis/correlation.h."""
    u = (u - u.mean(0)).double()
    half = len(u) // 2
    first, second = u[:half], u[half:2 * half]
    total = (first @ second.T).square().sum() / half**2
    diagonal = (first.square().mean(0) * second.square().mean(0)).sum()
    return float((total - diagonal) / diagonal)


def steps() -> None:
    parser = LineParser(description=__doc__.splitlines()[0],
                        epilog="example: benchmarks/authors_steps.py CorrelationsRuinGD --network conv")
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT", help="checkout of the authors' code")
    parser.add_argument("--network", choices=NETWORKS, default="dense", help="default: dense")
    parser.add_argument("--decor-lr", type=float, default=1e-5, metavar="RATE",
                        help="decorrelation learning rate; 0: the plain network (default: 1e-5)")
    parser.add_argument("--root", type=Path, default=cifar10_folder(), metavar="DIR",
                        help="binary files of CIFAR-10")
    parser.add_argument("--measure-at", default="", metavar="N,...",
                        help="numbers of updates after which the off-diagonal energy is measured")
    add_step_options(parser, steps=10)
    arguments = parser.parse_args()
    torch = import_torch()
    torch.set_num_threads(arguments.threads)
    data = Cifar10(torch, arguments.root)
    model = make_model(torch, arguments.checkout, arguments.network, arguments.decor_lr)
    # As in their train(), with the Adam of their dense and convolutional experiments.
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, betas=(0.9, 0.9999), eps=1e-8)
    cross_entropy = torch.nn.CrossEntropyLoss(reduction="none")

    seconds, energy_at = [], {}
    for step in range(arguments.warmup + arguments.steps + 1):
        if str(step) in arguments.measure_at.split(","):
            energy_at[step] = energies(torch, model, data.normalise(data.test_images[:1000]))
        if step == arguments.warmup + arguments.steps:
            break
        images, labels = data.batch(step, BATCH[arguments.network])
        start = time.perf_counter()
        optimizer.zero_grad()
        model.train_step(images, labels, None, lambda output, target, _: cross_entropy(output, target))
        optimizer.step()
        if step >= arguments.warmup:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "energy": energy_at}))


if __name__ == "__main__":
    sys.exit(exit_code_of(steps))
