
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const mostEpochs = Math.max(...data.groups.flatMap(group => group.runs.map(run => run.seconds.length)));
let printing = false;

// Charts that share their series: the first has the legend, and what is hidden there is hidden in all.
class ChartSet {
  constructor(container) {
    this.container = container;
    this.hidden = new Set();
    this.charts = [];
  }

  // `specs`: what chartLayout() takes, and `traces`; the first is drawn wide.
  draw(specs, theme) {
    while (this.charts.length > specs.length) {
      const chart = this.charts.pop();
      Plotly.purge(chart);
      chart.remove();
    }
    specs.forEach((spec, i) => {
      if (i === this.charts.length) this.add(i === 0);
      const chart = this.charts[i];
      const traces = spec.traces.map(trace => ({
        ...trace, visible: this.hidden.has(trace.legendgroup) ? (spec.legend ? "legendonly" : false) : true,
      }));
      const layout = chartLayout(spec, {theme, width: chart.clientWidth});
      Plotly.react(chart, traces, layout, {
        displaylogo: false, displayModeBar: chart.clientWidth > 400, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
        toImageButtonOptions: {format: "svg", filename: spec.title},
      });
      if (i === 0 && !chart.linked) {
        chart.linked = true;
        chart.on("plotly_restyle", () => this.follow());
      }
    });
  }

  add(wide) {
    const chart = document.createElement("div");
    chart.className = wide ? "chart wide" : "chart";
    this.container.append(chart);
    this.charts.push(chart);
  }

  // After a click in the legend.
  follow() {
    const [first, ...others] = this.charts;
    this.hidden = new Set(first.data.filter(trace => trace.visible === "legendonly").map(trace => trace.legendgroup));
    for (const chart of others)
      Plotly.restyle(chart, {visible: chart.data.map(trace => !this.hidden.has(trace.legendgroup))});
  }
}

const curves = new ChartSet(document.getElementById("curve-charts"));
const layers = new ChartSet(document.getElementById("layer-charts"));

// Paper is light.
function theme() {
  return printing ? "light" : root.dataset.theme;
}

function drawCurves() {
  const form = document.forms[0];
  const options = {axis: form.axis.value, band: form.band.value, seeds: form.seeds.checked};
  const logarithmic = key => form.log.checked && /_loss$/.test(key);
  const few = data.groups.length <= 8;
  curves.draw(data.metrics.map((metric, i) => ({
    title: metric.title, traces: metricTraces(data.groups, metric.key, {...options, log: logarithmic(metric.key)}, theme()),
    x: options.axis === "epoch" ? "epoch" : "training seconds", epochs: options.axis === "epoch" ? mostEpochs : 0,
    log: logarithmic(metric.key), rangemode: options.axis === "epoch" ? "normal" : "tozero",
    suffix: /_acc$|_top5$/.test(metric.key) ? " %" : "", legend: i === 0, names: data.groups.length,
    height: i === 0 ? 420 : 300, unified: few && options.axis === "epoch", revision: `${options.axis} ${form.log.checked}`,
  })), theme());
}

// What is measured of layers, a chart for each pair of measures.
const LAYER_CHARTS = [
  {title: "Off-diagonal energy of u; dotted: of x", keys: ["energy", "input_energy"], log: true},
  {title: "Norm of R", keys: ["matrix_norm"]},
  {title: "Skipped updates; dotted: shortened", keys: ["skipped", "shortened"], counts: true},
  {title: "Angle to backpropagation, °; dotted: feedback",
   keys: ["gradient_angle", "feedback_angle"]},
  {title: "Ratio of gradient norms", keys: ["norm_ratio"]},
];

function drawLayers() {
  const group = data.groups[document.getElementById("group").value];
  document.getElementById("group-name").textContent = group.name;
  const titles = Object.fromEntries(data.measures.map(measure => [measure.key, measure.title.toLowerCase()]));
  const values = key => group.layers.flatMap(layer => layer[key] ? layer[key].mean : []);
  const shown = LAYER_CHARTS.filter(chart => chart.keys.some(key =>
    values(key).some(value => chart.counts ? value > 0 : value !== null)));
  layers.draw(shown.map((chart, i) => ({
    ...chart, traces: layerTraces(group, chart.keys, titles, theme()), x: "epoch", epochs: mostEpochs, legend: i === 0,
    names: group.layers.length, height: i === 0 ? 380 : 280, revision: group.name,
  })), theme());
  const note = [];
  if (group.plain) note.push("No layer of this group is decorrelated: u is x.");
  else if (!shown.some(chart => chart.counts)) note.push("No update was skipped or shortened.");
  if (group.runs.length > 1) note.push(`Mean over ${group.runs.length} seeds.`);
  document.getElementById("layer-note").textContent = note.join(" ");
}

function drawSwatches() {
  for (const swatch of document.querySelectorAll(".swatch")) {
    const look = seriesStyle(Number(swatch.dataset.group), theme());
    swatch.style.borderTopColor = look.color;
    swatch.style.borderTopStyle = look.border;
  }
}

function drawAll() {
  drawSwatches();
  if (!window.Plotly) return;
  drawCurves();
  drawLayers();
}

function setTheme(name) {
  root.dataset.theme = name;
  document.getElementById("theme").textContent = name === "dark" ? "Light" : "Dark";
  drawAll();
}

function startPrinting() {
  printing = true;
  root.dataset.screenTheme = root.dataset.theme;
  root.dataset.theme = "light";
  document.body.classList.add("printing");
  for (const details of document.querySelectorAll("main details:not([open])")) {
    details.open = true;
    details.dataset.closed = "";
  }
  drawAll();
}

function endPrinting() {
  if (!printing) return;
  printing = false;
  document.body.classList.remove("printing");
  for (const details of document.querySelectorAll("details[data-closed]")) {
    details.open = false;
    delete details.dataset.closed;
  }
  setTheme(root.dataset.screenTheme);
}

// Sorts the rows of a table by one of its columns; what has no value comes last.
function sortRows(heading, column) {
  const body = heading.closest("table").tBodies[0];
  const down = heading.getAttribute("aria-sort") === "ascending";
  for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = row => row.cells[column].dataset.sort;
  const numeric = [...body.rows].every(row => row.cells[column].classList.contains("number"));
  const compare = (a, b) => numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", {numeric: true});
  const rows = [...body.rows].sort((a, b) => {
    if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
    return (down ? -1 : 1) * compare(key(a), key(b));
  });
  body.append(...rows);
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sortRows(heading, column));
    heading.replaceChildren(button);
  });
}

function say(message) {
  const trouble = document.getElementById("trouble");
  trouble.textContent = message;
  trouble.hidden = false;
}

// plotly.js is in the page, compressed by gzip, in base64.
async function unpackPlotly() {
  const packed = document.getElementById("plotly");
  const bytes = Uint8Array.from(atob(packed.textContent), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  packed.remove();
  if (!window.Plotly) throw new Error("plotly.js did not start");
}

async function start() {
  const select = document.getElementById("group");
  data.groups.forEach((group, i) => select.add(new Option(group.name, i)));
  select.value = Math.max(0, data.groups.findIndex(group => !group.plain));
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  document.getElementById("theme").addEventListener(
    "click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
  systemDark.addEventListener("change", event => setTheme(event.matches ? "dark" : "light"));
  setTheme(systemDark.matches ? "dark" : "light");
  if (typeof DecompressionStream === "undefined") {
    say("This browser is too old to unpack the charts (it has no DecompressionStream): use Firefox 113, " +
        "Chrome or Edge 80, Safari 16.4, or newer. The tables below are complete.");
    return;
  }
  try {
    await unpackPlotly();
  } catch (error) {
    say(`The charts cannot be drawn (${error.message}). The tables below are complete.`);
    return;
  }
  drawAll();
  document.forms[0].addEventListener("change", drawCurves);
  select.addEventListener("change", drawLayers);
  let pending = 0;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => { if (!printing) drawAll(); });
  });
  window.addEventListener("beforeprint", startPrinting);
  window.addEventListener("afterprint", endPrinting);
  root.dataset.ready = "";
}

start();
