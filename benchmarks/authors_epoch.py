#!/usr/bin/python3
"""Trains the dense network in the public code of CRGD's authors on CIFAR-10, epoch by epoch, with their own
data pipeline, training loop and metrics.

Prints one line of JSON with the seconds of each epoch's parts and the test accuracy after it; for
compare_epoch.py. Needs Debian's python3-torch and python3-torchvision.
"""

import importlib
import io
import json
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

from authors_steps import import_authors, read_cifar10
from turns import LR, Failure, LineParser, cifar10_folder, exit_code_of, import_torch, whole


def import_torchvision(folder: Path):
    """torchvision, whose CIFAR-10 reads the binary files in `folder` and gives the same PIL images."""
    torch = import_torch()
    try:
        import torchvision
        from PIL import Image
    except ImportError as error:
        raise Failure(f"a Python package is missing ({error}), {sys.executable}, "
                      "apt install python3-torchvision and use /usr/bin/python3") from None
    # What the authors take from transforms.v2 is in transforms of older versions, too.
    sys.modules.setdefault("torchvision.transforms.v2", torchvision.transforms)
    torchvision.transforms.v2 = sys.modules["torchvision.transforms.v2"]

    class Cifar10(torch.utils.data.Dataset):
        def __init__(self, root, train, download, transform):
            images, self.targets = read_cifar10(folder, train)
            self.data = images.transpose(0, 2, 3, 1)
            self.transform = transform

        def __len__(self):
            return len(self.data)

        def __getitem__(self, index):
            return self.transform(Image.fromarray(self.data[index])), int(self.targets[index])

    torchvision.datasets.CIFAR10 = Cifar10
    return torchvision


def timed(action, *arguments) -> float:
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start


def epochs() -> None:
    parser = LineParser(description=__doc__.splitlines()[0],
                        epilog="example: benchmarks/authors_epoch.py CorrelationsRuinGD --epochs 2")
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT", help="checkout of the authors' code")
    parser.add_argument("--decor-lr", type=float, default=1e-5, metavar="RATE",
                        help="decorrelation learning rate; 0: the plain network (default: 1e-5)")
    parser.add_argument("--root", type=Path, default=cifar10_folder(), metavar="DIR",
                        help="binary files of CIFAR-10")
    parser.add_argument("--epochs", type=whole(1), default=1, metavar="N", help="epochs (default: 1)")
    parser.add_argument("--seed", type=whole(0), default=42, metavar="SEED", help="seed (default: 42)")
    parser.add_argument("--threads", type=whole(1), default=2, metavar="N", help="threads (default: 2)")
    parser.add_argument("--skip-train-metrics", action="store_true",
                        help="leave out their pass through the training set for its metrics")
    arguments = parser.parse_args()
    torch = import_torch()
    torchvision = import_torchvision(arguments.root)
    torch.set_num_threads(arguments.threads)
    models, bp = import_authors(arguments.checkout)
    utils = importlib.import_module("crgd.utils")
    torch.manual_seed(arguments.seed)
    with redirect_stdout(io.StringIO()):  # the constructor prints the network
        model = models.DenseNet(3072, 10, bp.BPLinear, torch.nn.LeakyReLU, True, arguments.decor_lr)
    train_loader, test_loader = utils.construct_dataloaders(torchvision.datasets.CIFAR10, batch_size=256)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, betas=(0.9, 0.9999), eps=1e-8)
    cross_entropy = torch.nn.CrossEntropyLoss(reduction="none")

    def loss(output, target, _):
        return cross_entropy(output, target)

    def measure(part: str, loader):
        utils.update_metrics(model, metrics, "cpu", part, loader, loss, 0)

    metrics = utils.init_metric()
    rows = []
    for epoch in range(arguments.epochs):
        row = {"train_seconds": timed(utils.train, model, "cpu", train_loader, optimizer, epoch, loss),
               "test_metrics_seconds": timed(measure, "test", test_loader)}
        if not arguments.skip_train_metrics:
            row["train_metrics_seconds"] = timed(measure, "train", train_loader)
        rows.append({**row, "test_acc": metrics["test"]["acc"][-1] / 100})
    print(json.dumps({"epochs": rows}))


if __name__ == "__main__":
    sys.exit(exit_code_of(epochs))
