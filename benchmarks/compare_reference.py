#!/usr/bin/python3
"""Compares decorr with the public code of CRGD's authors on this machine: the same networks, data and settings.

Takes a checkout of https://github.com/nasiryahm/CorrelationsRuinGD. Prints, for their dense and their
convolutional network on CIFAR-10, the time of a training step of both programs, plain and decorrelated,
measured in turns; the ratios ours / theirs; and the relative off-diagonal energy of every layer's
decorrelated input over 200 updates. Needs decorr_step_benchmark and Debian's python3-torch.
"""

import argparse
import json
import sys
from pathlib import Path

from turns import (BadUsage, Parser, Ratio, compare, exit_code_of, markdown, our_program, print_times,
                   settings_of, step_options, torch_program)

MEASURED = (0, 20, 50, 100, 200)
RATIOS = [Ratio("decorr / authors, decorrelated", "decorr, decorrelated", "authors, decorrelated"),
          Ratio("decorr / authors, plain", "decorr, plain", "authors, plain")]


def authors(arguments: argparse.Namespace, network: str, **options):
    return torch_program("authors_steps.py", str(arguments.checkout), network=network,
                         root=arguments.data, **{**step_options(arguments), **options})


def step_times(arguments: argparse.Namespace, network: str) -> dict:
    programs = {"authors, plain": authors(arguments, network, decor_lr=0),
                "authors, decorrelated": authors(arguments, network),
                "decorr, plain": our_program(arguments, network, method="none"),
                "decorr, decorrelated": our_program(arguments, network)}
    return compare(programs, RATIOS, arguments, network)


def energies(arguments: argparse.Namespace, network: str) -> dict[str, dict[str, list[float]]]:
    """{program: {updates: off-diagonal energy of each layer}}"""
    print(f"{network} network: {MEASURED[-1]} updates of each program", file=sys.stderr, flush=True)
    options = {"steps": MEASURED[-1], "warmup": 0, "measure_at": ",".join(map(str, MEASURED))}
    programs = {"authors, η = 1e-5": authors(arguments, network, **options),
                "decorr, preset published": our_program(arguments, network, preset="published", **options),
                "decorr, default, an update a step": our_program(arguments, network, preset="default",
                                                               update_every=1, **options)}
    return {name: program.run()["energy"] for name, program in programs.items()}


def print_energies(result: dict) -> None:
    runs = result["energy"]
    print(f"\n{result['network']} network: relative off-diagonal energy of u, layer by layer:\n")
    print(markdown(["updates", *runs],
                   [[str(updates), *(" ".join(f"{value:.2f}" for value in run[str(updates)])
                                     for run in runs.values())] for updates in MEASURED]))


def main() -> None:
    parser = Parser(__doc__, "benchmarks/compare_reference.py CorrelationsRuinGD --json", steps=12)
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT",
                        help="checkout of the authors' repository")
    parser.add_argument("--skip-energy", action="store_true", help="times only")
    arguments = parser.parse()
    if not (arguments.checkout / "crgd" / "models.py").is_file():
        raise BadUsage(f"there is no crgd/models.py, {arguments.checkout}, "
                       "give a checkout of nasiryahm/CorrelationsRuinGD")
    settings = settings_of(arguments)
    results = [step_times(arguments, network) for network in arguments.networks]
    if not arguments.skip_energy:
        for result in results:
            result["energy"] = energies(arguments, result["network"])
    if arguments.json:
        print(json.dumps({**settings, "networks": results}, ensure_ascii=False))
        return
    print_times(results, settings)
    if not arguments.skip_energy:
        for result in results:
            print_energies(result)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
