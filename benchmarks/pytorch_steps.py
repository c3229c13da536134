#!/usr/bin/python3
"""Times training steps of plain PyTorch networks, of the shapes of decorr_step_benchmark, on random input.

Prints one line of JSON as decorr_step_benchmark does; for compare_pytorch.py.
"""

import json
import sys
import time

from turns import BATCH, LR, NETWORKS, LineParser, add_step_options, exit_code_of, import_torch


def make_model(torch, network: str, batch_norm: bool):
    """The network, with batch norm after each hidden layer if asked for (biases are its own then)."""
    nn = torch.nn
    layers = []
    if network == "dense":
        widths = [3072, 1000, 1000, 1000, 1000]
        for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            layers += [nn.Linear(inputs, outputs, bias=not batch_norm)]
            layers += [nn.BatchNorm1d(outputs)] if batch_norm else []
            # As the authors of CRGD and decorr_step_benchmark: none after the last hidden layer.
            layers += [nn.LeakyReLU()] if i + 2 < len(widths) else []
    else:
        widths = [3, 32, 32, 64, 64]
        for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=not batch_norm)]
            layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
            layers += [nn.LeakyReLU()]
            layers += [nn.MaxPool2d(2)] if i % 2 == 1 else []
        layers += [nn.Flatten(), nn.Linear(64 * 8 * 8, 1000, bias=not batch_norm)]
        layers += [nn.BatchNorm1d(1000)] if batch_norm else []
        layers += [nn.LeakyReLU()]
    return nn.Sequential(*layers, nn.Linear(1000, 10))


def faster_adam(torch, parameters: list):
    """Adam on lists of tensors (foreach) or in its loop over them, whichever is faster here; needs gradients."""
    candidates = [torch.optim.Adam(parameters, lr=LR, betas=(0.9, 0.9999), foreach=foreach)
                  for foreach in (True, False)]

    def seconds(optimizer) -> float:
        start = time.perf_counter()
        optimizer.step()
        return time.perf_counter() - start
    return min(candidates, key=lambda optimizer: min(seconds(optimizer) for _ in range(3)))


def steps() -> None:
    parser = LineParser(description=__doc__.splitlines()[0],
                        epilog="example: benchmarks/pytorch_steps.py --network conv --batch-norm yes")
    parser.add_argument("--network", choices=NETWORKS, default="dense", help="default: dense")
    parser.add_argument("--batch-norm", choices=("no", "yes"), default="no", help="default: no")
    add_step_options(parser, steps=20)
    arguments = parser.parse_args()
    torch = import_torch()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(42)
    model = make_model(torch, arguments.network, arguments.batch_norm == "yes")
    cross_entropy = torch.nn.CrossEntropyLoss()
    shape = (3072,) if arguments.network == "dense" else (3, 32, 32)

    def batch():
        return torch.randn(BATCH[arguments.network], *shape), torch.randint(10, (BATCH[arguments.network],))

    images, labels = batch()
    cross_entropy(model(images), labels).backward()
    optimizer = faster_adam(torch, list(model.parameters()))
    seconds = []
    for step in range(arguments.warmup + arguments.steps):
        images, labels = batch()
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        if step >= arguments.warmup:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "loss": loss.item(), "foreach": optimizer.defaults["foreach"]}))


if __name__ == "__main__":
    sys.exit(exit_code_of(steps))
