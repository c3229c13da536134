"""Draws the figures of a report: figures.py DATA.json FOLDER FORMAT..."""

import json
import sys
from pathlib import Path

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D
except ImportError as missing:
    print(missing, file=sys.stderr)
    sys.exit(3)

# Okabe and Ito's colours, which the colour-blind tell apart, without yellow; dashes tell them apart
# in grey.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
DASHES = ["-", (0, (5, 2)), (0, (1.2, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1))]
COLUMN = 3.4  # inches, the width of a column of text
MOST_IN_LEGEND = 8

matplotlib.rcdefaults()  # not those of the user: the same report gives the same figure
matplotlib.rcParams.update({
    "font.size": 8, "font.family": "DejaVu Sans", "axes.linewidth": 0.6, "lines.linewidth": 1.2,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.linewidth": 0.4, "grid.alpha": 0.4, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "legend.frameon": False, "legend.fontsize": 7, "legend.handlelength": 2.8,
    "svg.fonttype": "path", "svg.hashsalt": "decorr", "savefig.dpi": 300, "text.usetex": False,
})


def plain_text(text):
    """Dollars would begin a formula."""
    return text.replace("$", r"\$")


def known(values, factor=1.0):
    return [float("nan") if value is None else factor * value for value in values]


def style(index):
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def draw(axes, curve, axis, factor=1.0, **look):
    """The mean with a band of one standard error."""
    x, mean, error = curve[axis], known(curve["mean"], factor), known(curve["error"], factor)
    axes.plot(x, mean, marker="o" if len(x) == 1 else None, markersize=3, **look)
    axes.fill_between(x, [m - e for m, e in zip(mean, error)],
                      [m + e for m, e in zip(mean, error)],
                      color=look["color"], alpha=0.18, linewidth=0)


def only_whole_epochs(axes):
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))


def legend_below(figure, handles, names):
    columns = 2 if max(map(len, names), default=0) < 24 else 1
    figure.legend(handles, names, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=columns)


def group_handles(groups):
    return ([Line2D([], [], **style(i)) for i in range(len(groups))],
            [plain_text(group["name"]) for group in groups])


def accuracy(data, axis, label):
    figure, axes = pyplot.subplots(figsize=(COLUMN, 2.4), constrained_layout=True)
    for i, group in enumerate(data["groups"]):
        if "test_acc" in group["curves"]:
            draw(axes, group["curves"]["test_acc"], axis, 100, **style(i))
    axes.set_xlabel(label)
    axes.set_ylabel("test accuracy (%)")
    if axis == "epoch":
        only_whole_epochs(axes)
    legend_below(figure, *group_handles(data["groups"]))
    return figure


def loss(data):
    figure, both = pyplot.subplots(1, 2, figsize=(2 * COLUMN, 2.4), constrained_layout=True)
    for axes, key, label in zip(both, ("train_loss", "test_loss"), ("training loss", "test loss")):
        for i, group in enumerate(data["groups"]):
            if key in group["curves"]:
                draw(axes, group["curves"][key], "epoch", **style(i))
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        only_whole_epochs(axes)
    legend_below(figure, *group_handles(data["groups"]))
    return figure


def energy(data):
    """One panel a group: the energy of each layer's u, and dotted that of its input."""
    groups = data["groups"]
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(max(COLUMN, 2.3 * columns), 2.1 * rows),
                                   squeeze=False, sharey=True,
                                   constrained_layout=True)
    names = []
    for group, axes in zip(groups, grid.flat):
        for layer in group["layers"]:
            if layer["path"] not in names:
                names.append(layer["path"])
    colours = pyplot.get_cmap("viridis")
    shade = {name: colours(0.9 * i / max(1, len(names) - 1)) for i, name in enumerate(names)}
    for axes in grid.flat[len(groups):]:
        axes.set_visible(False)
    for group, axes in zip(groups, grid.flat):
        for layer in group["layers"]:
            for key, line in (("energy", "-"), ("input_energy", ":")):
                if key in layer:
                    # On a logarithmic axis there is no place for what is not positive.
                    mean = [value if value and value > 0 else float("nan")
                            for value in layer[key]["mean"]]
                    axes.plot(layer[key]["epoch"], mean, linestyle=line,
                              color=shade[layer["path"]])
        axes.set_yscale("log")
        axes.set_title(plain_text(group["name"]), fontsize=7)
        axes.set_xlabel("epoch")
        only_whole_epochs(axes)
    for axes in grid[:, 0]:
        axes.set_ylabel("off-diagonal energy")
    shown = names if len(names) <= MOST_IN_LEGEND else [names[0], names[-1]]
    handles = [Line2D([], [], color=shade[name]) for name in shown]
    handles += [Line2D([], [], color="grey", linestyle=line) for line in ("-", ":")]
    legend_below(figure, handles, shown + ["of u", "of the input"])
    return figure


def main():
    data = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder, formats = Path(sys.argv[2]), sys.argv[3:]
    figures = {
        "accuracy_by_epoch": accuracy(data, "epoch", "epoch"),
        "accuracy_by_seconds": accuracy(data, "seconds", "training time (s)"),
        "loss": loss(data),
        "energy": energy(data),
    }
    # Without a date and the version of the library, files of equal figures are equal.
    metadata = {"svg": {"Date": None, "Creator": "decorr"}, "png": {"Software": "decorr"}}
    for name, figure in figures.items():
        for form in formats:
            figure.savefig(folder / f"{name}.{form}", format=form, bbox_inches="tight",
                           metadata=metadata[form])


main()
