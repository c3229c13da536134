"""`decorr bench` on networks that are small enough to take no time: what is printed, not how fast."""

import json
import math
import re

import pytest
from support import check_only_error, check_success, decorr

STEP_KEYS = {"model", "precision", "threads", "batch", "steps", "plain_ms", "plain_spread_ms",
             "decorrelated_ms", "decorrelated_spread_ms", "ratio", "ratio_spread", "phases",
             "plain_gflops", "decorrelated_gflops", "peak_gflops", "share_of_peak"}
KERNEL_KEYS = {"kernel", "shape", "ms", "spread_ms", "gflops", "gb_per_s", "bound",
               "share_of_peak"}
LOADER_KEYS = {"precision", "threads", "batch", "images", "rounds", "loader_images_per_s",
               "loader_spread", "step_images_per_s", "step_spread", "ratio"}
PHASES = ["forward_backward_ms", "optimizer_ms", "update_ms"]
SMALL = ["--scale", "20", "--threads", "1"]


@pytest.fixture(autouse=True)
def no_restart(monkeypatch):
    """What the program would start itself again for, which takes half of the time of these tests."""
    monkeypatch.setenv("DECORR_RESTARTED", "1")


def result(*arguments):
    """The JSON, on one line, of a benchmark that is made small."""
    output = check_success(decorr("bench", *arguments, *SMALL, "--json"))
    assert output.stderr == "" and output.stdout.count("\n") == 1
    return json.loads(output.stdout)


def check_numbers(value, name="") -> None:
    """Every number in `value` is finite and positive; spreads may be 0."""
    if isinstance(value, dict):
        for key, item in value.items():
            check_numbers(item, key)
    elif isinstance(value, list):
        for item in value:
            check_numbers(item, name)
    elif isinstance(value, (int, float)):
        assert math.isfinite(value), name
        assert value > 0 or (value == 0 and "spread" in name), f"{name} {value}"
    else:
        assert isinstance(value, str) or (value is None and name in ("gflops", "overhead_bound_ms", "overhead_over_bound")), name


@pytest.mark.parametrize("command", [[], ["step"], ["kernels"], ["loader"]], ids=" ".join)
def test_help_has_an_example(command):
    output = check_success(decorr("bench", *command, "--help"))
    assert re.search(r"Example:\n  " + " ".join(["decorr", "bench", *command]), output.stdout)


def test_step_compares_both_forms_of_all_networks():
    rows = result("step", "--steps", "2")
    assert [(row["model"], row["precision"], row["batch"]) for row in rows] == [
        ("mlp", "float32", 12), ("convnet", "float32", 6), ("convolutions", "float32", 6)]
    check_numbers(rows)
    for row in rows:
        assert STEP_KEYS <= set(row)
        assert row["steps"] == 4  # a whole cycle, from one update to the next
        assert row["threads"] == 1 and row["scale"] == 20
        assert row["share_of_peak"] == pytest.approx(row["plain_gflops"] / row["peak_gflops"])
        for form in ("plain", "decorrelated"):
            phases = row["phases"][form]
            assert list(phases) == PHASES
            # The median of one cycle is its mean, which adds up.
            assert sum(phases.values()) == pytest.approx(row[f"{form}_ms"])
            assert row[f"{form}_gflops"] == pytest.approx(
                row[f"{form}_gflop"] / row[f"{form}_ms"] * 1e3)
        assert row["decorrelated_gflop"] > row["plain_gflop"]


def test_step_counts_operations_and_pairs_times():
    rows = result("step", "--steps", "1", "--model", "mlp", "--precision", "float32,float64")
    assert [row["precision"] for row in rows] == ["float32", "float64"]
    batch, width = 12, 50
    first, hidden, last = 3072 * width, width * width, width * 10
    for row in rows:
        expected = batch * (4 * first + 6 * (3 * hidden + last)) / 1e9
        assert row["plain_gflop"] == pytest.approx(expected)
        assert row["plain_product_gflop"] == pytest.approx(expected)  # all are matrix products
        assert row["decorrelated_product_gflop"] == pytest.approx(row["decorrelated_gflop"])
        assert row["ratio"] == pytest.approx(row["decorrelated_ms"] / row["plain_ms"])


@pytest.mark.parametrize("precision", ["bf16", "decorrelation-bf16"])
def test_step_in_bf16_where_the_processor_has_it(precision):
    output = decorr("bench", "step", "--steps", "1", "--precision", precision, *SMALL, "--json")
    if output.returncode == 2:
        check_only_error(output, 2, "bfloat16", "float32")
    else:
        check_numbers(json.loads(check_success(output).stdout))


def test_kernels_are_timed_against_the_machine():
    report = result("kernels", "--repetitions", "2")
    check_numbers(report)
    assert {"threads", "repetitions", "peak_gflops", "peak_gb_per_s"} <= set(report)
    rows = report["kernels"]
    assert {row["kernel"] for row in rows} == {
        "forward", "weight gradient", "input gradient", "rows through R", "rank-k update of R",
        "Adam", "copy of memory"}
    for row in rows:
        assert set(row) == KERNEL_KEYS
        rate, peak = ((row["gflops"], report["peak_gflops"]) if row["bound"] == "compute" else
                      (row["gb_per_s"], report["peak_gb_per_s"]))
        assert row["share_of_peak"] == pytest.approx(rate / peak)
        assert (row["gflops"] is None) == (row["kernel"] in ("Adam", "copy of memory"))
    forward = rows[0]
    assert forward["shape"] == "[12, 153] x [153, 50]"
    assert forward["gflops"] == pytest.approx(2 * 12 * 153 * 50 / forward["ms"] / 1e6)


def test_loader_is_compared_with_a_step():
    row = result("loader", "--images", "100", "--rounds", "2")
    check_numbers(row)
    assert LOADER_KEYS <= set(row)
    assert row["images"] == 100 and row["rounds"] == 2 and row["batch"] == 12
    assert row["ratio"] == pytest.approx(row["loader_images_per_s"] / row["step_images_per_s"])


@pytest.mark.parametrize("arguments, words", [
    (["step", "--steps", "1"], ["mlp, float32", "convnet, float32", "decorrelated / plain", "peak"]),
    (["kernels", "--repetitions", "1"], ["forward", "rank-k", "Adam", "GB/s"]),
    (["loader", "--images", "100", "--rounds", "1"], ["the loader gives", "ratio"]),
], ids=["step", "kernels", "loader"])
def test_tables_are_for_people(arguments, words):
    output = check_success(decorr("bench", *arguments, *SMALL))
    for word in words:
        assert word in output.stdout
    assert "nan" not in output.stdout and "{" not in output.stdout


@pytest.mark.parametrize("arguments, needles", [
    (["everything"], ["subcommand"]),
    (["step", "--steps", "0"], ["--steps", "0"]),
    (["step", "--model", "resnet"], ["--model", "resnet", "convnet"]),
    (["step", "--precision", "float32,int8"], ["--precision", "int8", "float64"]),
    (["kernels", "--scale", "0"], ["--scale", "0"]),
    (["kernels", "--repetitions", "many"], ["--repetitions", "many"]),
    (["loader", "--images", "0"], ["--images", "0"]),
    (["loader", "--threads", "-1"], ["--threads", "-1"]),
], ids=" ".join)
def test_wrong_arguments_are_exit_2(arguments, needles):
    output = decorr("bench", *arguments)
    check_only_error(output, 2, *needles)
    assert output.stdout == ""
