"""What the scripts that train or measure share: errors, the command line, tables, exit codes."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path


class BadUsage(Exception):
    """The command or what it names is wrong: exit code 2."""


class Failure(Exception):
    """Something failed while running: exit code 1."""


class LineParser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str):
        raise BadUsage(f"{message}, command line, see --help")


def whole(least: int):
    """A reader of a whole number of at least `least`, which is not negative."""
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got '{text}'")
        return int(text)
    return read


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in [heads, *rows]]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def script_name() -> str:
    return Path(sys.argv[0]).stem


def interrupt(*_):
    raise KeyboardInterrupt


def exit_code_of(script: Callable[[], None], interrupted: str) -> int:
    """Runs a script's main part; an error becomes a line on stderr and an exit code.

    `interrupted` is what is left after an interrupt, and how to go on.
    """
    signal.signal(signal.SIGTERM, interrupt)
    try:
        script()
    except BadUsage as error:
        print(f"{script_name()}: error: {error}", file=sys.stderr)
        return 2
    except Failure as error:
        print(f"{script_name()}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{script_name()}: error: interrupted, {interrupted}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
