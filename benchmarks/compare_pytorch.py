#!/usr/bin/python3
"""Compares decorr with plain PyTorch networks of the same shape on this machine.

Prints, for the dense and the convolutional network of decorr_step_benchmark, the time of a training step of
decorr in float32, plain and decorrelated, in bf16 where the program has it, and of PyTorch in float32, plain
and with batch norm after each hidden layer, measured in turns; and the ratios ours / theirs. Needs
decorr_step_benchmark, CIFAR-10 for it (PyTorch gets random input), and Debian's python3-torch.
"""

import argparse
import json
import sys

from turns import (BadUsage, Failure, Parser, Ratio, compare, exit_code_of, our_program, print_times,
                   settings_of, step_options, torch_program)

RATIOS = [Ratio(f"decorr{precision}, {ours} / PyTorch, {theirs}", f"decorr{precision}, {ours}",
                f"PyTorch, {theirs}")
          for precision in ("", " bf16")
          for ours, theirs in (("decorrelated", "plain"), ("plain", "plain"), ("decorrelated", "batch norm"))]


def has_bf16(arguments: argparse.Namespace) -> bool:
    """Whether decorr_step_benchmark computes in bf16 here; tries one step."""
    once = argparse.Namespace(**{**vars(arguments), "steps": 1, "warmup": 0})
    try:
        our_program(once, arguments.networks[0], precision="bf16").run()
    except (BadUsage, Failure) as error:
        if "bfloat16" not in str(error):
            raise
        print(f"bf16 is not available: {error}", file=sys.stderr, flush=True)
        return False
    return True


def step_times(arguments: argparse.Namespace, network: str, bf16: bool) -> dict:
    def pytorch(**options):
        return torch_program("pytorch_steps.py", network=network, **step_options(arguments), **options)

    programs = {"PyTorch, plain": pytorch(), "PyTorch, batch norm": pytorch(batch_norm="yes"),
                "decorr, plain": our_program(arguments, network, method="none"),
                "decorr, decorrelated": our_program(arguments, network)}
    if bf16:
        programs["decorr bf16, plain"] = our_program(arguments, network, method="none", precision="bf16")
        programs["decorr bf16, decorrelated"] = our_program(arguments, network, precision="bf16")
    return compare(programs, RATIOS, arguments, network)


def main() -> None:
    arguments = Parser(__doc__, "benchmarks/compare_pytorch.py --network dense --json", steps=20).parse()
    settings = settings_of(arguments)
    bf16 = has_bf16(arguments)
    results = [step_times(arguments, network, bf16) for network in arguments.networks]
    if arguments.json:
        print(json.dumps({**settings, "networks": results}))
    else:
        print_times(results, settings)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
