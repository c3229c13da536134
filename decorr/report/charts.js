"use strict";

// Colours that the colour-blind tell apart (after Okabe and Ito), on light and on dark paper; dashes
// tell series apart without colour, and where there are more of them than colours.
const COLOURS = {
  light: ["#0072b2", "#d55e00", "#009e73", "#b5579a", "#2b9fd9", "#a97400", "#4a4a4a"],
  dark: ["#4da6e8", "#ff8b3d", "#2fcb9c", "#e79fcb", "#98d5fa", "#e6b93c", "#d0d0d0"],
};
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const BORDERS = ["solid", "dashed", "dotted", "dashed", "dashed", "dashed"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "cross", "star", "hexagon"];
// Viridis, without the end that the paper swallows.
const VIRIDIS = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];
const SHADES = {light: [0, 0.78], dark: [0.35, 1]};
const FEW_POINTS = 30;

function seriesStyle(index, theme) {
  const colours = COLOURS[theme];
  return {
    color: colours[index % colours.length],
    dash: DASHES[index % DASHES.length],
    border: BORDERS[index % BORDERS.length],
    symbol: SYMBOLS[index % SYMBOLS.length],
  };
}

function layerColour(index, count, theme) {
  const [from, to] = SHADES[theme];
  const place = (count < 2 ? from : from + (to - from) * index / (count - 1)) * (VIRIDIS.length - 1);
  const left = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const mixed = VIRIDIS[left].map((value, i) => Math.round(value + (place - left) * (VIRIDIS[left + 1][i] - value)));
  return `rgb(${mixed.join(",")})`;
}

// "#rrggbb" with an opacity.
function translucent(colour, opacity) {
  const parts = [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));
  return `rgba(${parts.join(",")},${opacity})`;
}

// plotly.js reads some HTML in names.
function plainText(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

const scaled = (values, factor) => values.map(value => value === null ? null : factor * value);

// The area between mean - error and mean + error, where there is an error. A logarithmic axis has no
// place for what is not positive: there the area ends a decade below the lowest mean.
function bandTrace(curve, options, factor, look) {
  const x = [], upper = [], lower = [], errors = curve[options.band];
  const floor = options.log ? Math.min(...curve.mean.filter(mean => mean > 0)) / 10 : -Infinity;
  curve.mean.forEach((mean, i) => {
    if (mean === null || errors[i] === null || mean + errors[i] <= floor) return;
    x.push(curve[options.axis][i]);
    upper.push(factor * (mean + errors[i]));
    lower.push(factor * Math.max(mean - errors[i], floor));
  });
  if (x.length === 0) return [];
  return [{
    type: "scatter", mode: "lines", x: x.concat(x.slice().reverse()), y: upper.concat(lower.reverse()),
    fill: "toself", fillcolor: translucent(look.color, 0.16), line: {width: 0, color: look.color},
    hoverinfo: "skip", showlegend: false,
  }];
}

function meanTrace(curve, axis, kind, factor, look, runs, unit) {
  const error = kind === "none" ? "error" : kind;
  const detail = curve.mean.map((mean, i) => {
    const half = curve[error][i] === null ? "" : ` ± ${(factor * curve[error][i]).toPrecision(3)}`;
    return [half, `${curve.count[i]} of ${runs}`, curve.epoch[i], curve.seconds[i]];
  });
  return {
    type: "scatter", mode: curve.mean.length <= FEW_POINTS ? "lines+markers" : "lines",
    x: curve[axis], y: scaled(curve.mean, factor), customdata: detail,
    line: {color: look.color, dash: look.dash, width: 2},
    marker: {color: look.color, symbol: look.symbol, size: 6},
    hovertemplate: `%{y:${unit ? ".2f" : ".4~g"}}%{customdata[0]}${unit}<br>epoch %{customdata[2]}, %{customdata[3]:.3~s} s, ` +
                   "%{customdata[1]} seeds",
  };
}

function seedTraces(group, key, axis, factor, look, unit) {
  return group.runs.filter(run => run[key].some(value => value !== null)).map(run => ({
    type: "scatter", mode: "lines", y: scaled(run[key], factor),
    x: axis === "seconds" ? run.seconds : run.seconds.map((_, i) => i + 1),
    line: {color: look.color, width: 0.8}, opacity: 0.7, showlegend: false,
    hovertemplate: `%{y:${unit ? ".2f" : ".4~g"}}${unit}, seed ${run.seed}`,
  }));
}

// The series of one metric: for each group a band, the mean and, if asked for, each seed.
function metricTraces(groups, key, options, theme) {
  const accuracy = /_acc$|_top5$/.test(key), factor = accuracy ? 100 : 1, unit = accuracy ? " %" : "";
  return groups.flatMap((group, index) => {
    const curve = group.curves[key];
    if (!curve) return [];
    const look = seriesStyle(index, theme);
    const traces = options.band === "none" ? [] : bandTrace(curve, options, factor, look);
    traces.push(meanTrace(curve, options.axis, options.band, factor, look, group.runs.length, unit));
    if (options.seeds) traces.push(...seedTraces(group, key, options.axis, factor, look, unit));
    return traces.map(trace => ({...trace, name: plainText(group.name), legendgroup: String(index)}));
  });
}

// The series of the layers of one group: solid the first measure, dotted the second.
function layerTraces(group, keys, titles, theme) {
  return group.layers.flatMap((layer, index) => keys.filter(key => layer[key]).map((key, which) => ({
    type: "scatter", mode: layer[key].mean.length <= FEW_POINTS ? "lines+markers" : "lines",
    x: layer[key].epoch, y: layer[key].mean, name: plainText(layer.path), legendgroup: String(index),
    showlegend: which === 0,
    line: {color: layerColour(index, group.layers.length, theme), dash: which === 0 ? "solid" : "dot", width: 2},
    marker: {size: 5, symbol: SYMBOLS[index % SYMBOLS.length]},
    hovertemplate: `%{y:.4~g} ${titles[key]}`,
  })));
}

// `look`: theme and width (null: that of the place) of a chart; `spec`: what it says.
function chartLayout(spec, look) {
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(name).trim();
  const axis = {gridcolor: colour("--line"), zeroline: false, linecolor: colour("--line"), automargin: true,
                spikecolor: colour("--soft"), spikethickness: 1, spikedash: "dot"};
  const narrow = look.width < 640;
  return {
    title: {text: spec.title, x: 0, xref: "paper", xanchor: "left", font: {size: 14}}, width: look.width,
    height: spec.legend && narrow ? spec.height + 22 * spec.names : spec.height,
    paper_bgcolor: colour("--paper"), plot_bgcolor: colour("--paper"),
    font: {family: "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", size: 12, color: colour("--ink")},
    margin: {l: 56, r: 16, t: 40, b: 44}, showlegend: spec.legend,
    legend: narrow ? {orientation: "h", y: -0.2, yanchor: "top"} : {x: 1.01, y: 1},
    hovermode: spec.unified ? "x unified" : "closest", hoverdistance: spec.unified ? -1 : 20,
    hoverlabel: {bgcolor: colour("--raised"), bordercolor: colour("--line"), font: {color: colour("--ink")},
                 namelength: -1},
    xaxis: {...axis, title: {text: spec.x, standoff: 8}, rangemode: spec.rangemode || "normal",
            nticks: spec.epochs ? Math.min(spec.epochs, 10) : 0},
    yaxis: {...axis, showspikes: false, type: spec.log ? "log" : "linear", ticksuffix: spec.suffix || "",
            exponentformat: "power", dtick: spec.log ? "D2" : undefined},
    modebar: {bgcolor: "rgba(0,0,0,0)", color: colour("--line"), activecolor: colour("--accent")},
    uirevision: spec.revision,
  };
}
