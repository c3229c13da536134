#!/usr/bin/python3
"""Times LibTorch's convolutions and pooling in both layouts of memory, for the layers of CRGD's convolutional
network: why decorr keeps channels last. Prints a markdown table of milliseconds, forward and backward, medians.
Needs Debian's python3-torch.
"""

import argparse
import sys
import time
from statistics import median

from turns import LineParser, exit_code_of, import_torch, markdown, whole

BATCH = 128
# Channels in and out, side of the image, whether the gradient of the input is wanted.
LAYERS = [(3, 32, 32, False), (32, 32, 32, True), (32, 64, 16, True), (64, 64, 16, True)]


def milliseconds(work, repetitions: int) -> float:
    work()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * median(times)


def convolution(torch, layer, layout, repetitions: int) -> str:
    inputs, outputs, side, wants_input = layer

    def laid_out(*sizes):
        return torch.randn(*sizes).contiguous(memory_format=layout)
    x, error = laid_out(BATCH, inputs, side, side), laid_out(BATCH, outputs, side, side)
    weight, bias = laid_out(outputs, inputs, 3, 3), torch.randn(outputs)
    steps = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    forward = milliseconds(lambda: torch.ops.aten.convolution(x, weight, bias, *steps), repetitions)
    backward = milliseconds(lambda: torch.ops.aten.convolution_backward(
        error, x, weight, [outputs], *steps, [wants_input, True, True]), repetitions)
    return f"{forward:.1f}, {backward:.1f}"


def pooling(torch, layout, repetitions: int) -> str:
    x = torch.randn(BATCH, 32, 32, 32).contiguous(memory_format=layout).requires_grad_()
    y = torch.max_pool2d(x, 2)
    error = torch.randn_like(y)
    forward = milliseconds(lambda: torch.max_pool2d(x, 2), repetitions)
    backward = milliseconds(lambda: torch.autograd.grad(y, x, error, retain_graph=True), repetitions)
    return f"{forward:.1f}, {backward:.1f}"


def main() -> None:
    parser = LineParser(description=__doc__, epilog="example: benchmarks/conv_layouts.py --repetitions 30",
                        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=whole(1), default=15, metavar="N",
                        help="timed calls of each (default: 15)")
    parser.add_argument("--threads", type=whole(1), default=2, metavar="N", help="threads (default: 2)")
    arguments = parser.parse_args()
    torch = import_torch()
    torch.set_num_threads(arguments.threads)
    layouts = [torch.contiguous_format, torch.channels_last]
    rows = [[f"{layer[0]} → {layer[1]}, {layer[2]} × {layer[2]}",
             *(convolution(torch, layer, layout, arguments.repetitions) for layout in layouts)]
            for layer in LAYERS]
    rows.append(["max pooling of 32 channels, 32 × 32",
                 *(pooling(torch, layout, arguments.repetitions) for layout in layouts)])
    print(markdown(["layer", "NCHW", "channels last"], rows))


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
