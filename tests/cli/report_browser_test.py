"""The page of decorr report in a real browser: what it draws, and that its controls work."""

import base64
import json
import time

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from support import check_success, decorr

GROUPS = ["plain", "copi <b>&amp;</b>", "dbp"]
METHODS = ["none", "copi", "dbp"]
SEEDS = [1, 2, 3]
EPOCHS = 4
PATIENCE = 40  # seconds


def layer(index, epoch):
    return {"path": f"layers.{index}", "input_energy": 9.0 + index, "energy": 4.0 / epoch,
            "matrix_norm": 1.0 + epoch, "updates": 10 * epoch, "skipped": index,
            "shortened": epoch, "gradient_angle": 70.0 - epoch, "norm_ratio": 1.0,
            "feedback_angle": 80.0 - epoch}


def row(group, seed, epoch):
    accuracy = 0.6 + 0.05 * group + 0.03 * epoch + 0.004 * seed
    # So far apart in the last group that a band reaches below zero.
    test_loss = 0.01 * 10 ** seed if group == 2 else 1.3 - accuracy
    return {"epoch": epoch, "step": 10 * epoch, "train_loss": 1.2 - accuracy,
            "train_acc": accuracy + 0.01, "test_loss": test_loss, "test_acc": accuracy,
            "test_top5": accuracy + 0.1, "train_seconds": 2.0 + group, "eval_seconds": 0.1,
            "samples_per_second": 100.0, "layers": [layer(i, epoch) for i in range(3)]}


@pytest.fixture(scope="module", name="page")
def written(tmp_path_factory):
    """The page of three groups with three seeds each, one of them with a name that is HTML."""
    folder = tmp_path_factory.mktemp("browser")
    for group, (name, method) in enumerate(zip(GROUPS, METHODS)):
        for seed in SEEDS:
            run = folder / "runs" / f"{name.replace('/', '')}-{seed}"
            run.mkdir(parents=True)
            (run / "config.toml").write_text(
                f'seed = {seed}\n[decorrelation]\nmethod = "{method}"\n'
                f'[train]\nepochs = {EPOCHS}\n')
            (run / "metrics.jsonl").write_text("".join(
                json.dumps(row(group, seed, epoch)) + "\n" for epoch in range(1, EPOCHS + 1)))
            (run / "summary.json").write_text(
                json.dumps({"status": "completed", "epochs": EPOCHS}))
    check_success(decorr("report", folder / "runs", "-o", folder / "page.html",
                         "--title", "</script><script>fail()</script>"))
    return folder / "page.html"


class Browser:
    """Chromium without a window, and what it logged."""

    def __init__(self):
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu",
                         "--disable-dev-shm-usage", "--window-size=1280,1000"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not self.run(f"return {condition}"):
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.problems()}"
            time.sleep(0.05)

    def open(self, page, scheme="light"):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.driver.get(page.as_uri())
        self.wait("document.documentElement.dataset.ready !== undefined", "the page")

    def problems(self):
        """Messages of errors and violations since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        """Addresses asked for since the last call, without what the page itself carries."""
        messages = [json.loads(entry["message"])["message"]
                    for entry in self.driver.get_log("performance")]
        addresses = [message["params"]["request"]["url"] for message in messages
                     if message["method"] == "Network.requestWillBeSent"]
        return [address for address in addresses if not address.startswith(("data:", "blob:"))]

    def click(self, css, index=0):
        element = self.driver.find_elements("css selector", css)[index]
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def visible(self):
        """For each chart of the curves, the groups whose lines are drawn, and whose bands."""
        return self.run("""
          return [...document.querySelectorAll("#curve-charts .chart")].map(chart => {
            const shown = chart._fullData.filter(trace => trace.visible === true);
            const names = fill => shown.filter(trace => (trace.fill === "toself") === fill)
                                       .map(trace => trace.name);
            return {lines: names(false), bands: names(true),
                    drawn: chart.querySelectorAll(".scatterlayer .js-line").length,
                    filled: chart.querySelectorAll(".js-fill[d]").length};
          })""")


@pytest.fixture(scope="module", name="chromium")
def started():
    browser = Browser()
    yield browser
    browser.driver.quit()


@pytest.fixture(name="browser")
def opened(chromium, page):
    chromium.open(page)
    yield chromium
    assert chromium.problems() == []
    assert set(chromium.requests()) == {page.as_uri()}


ALL = ["plain", "copi &lt;b&gt;&amp;amp;&lt;b&gt;", "dbp"]


def test_every_series_is_drawn_with_its_band(browser):
    charts = browser.visible()
    titles = browser.run("return data.metrics.map(metric => metric.key)")
    assert titles == ["test_acc", "train_loss", "test_loss", "train_acc", "test_top5"]
    assert len(charts) == len(titles)
    for chart in charts:
        assert sorted(chart["lines"]) == sorted(chart["bands"]) == sorted(ALL)
        assert chart["drawn"] >= len(ALL) and chart["filled"] == len(ALL)
    names = browser.run("return [...document.querySelectorAll('#curve-charts .legendtext')]"
                        ".map(text => text.textContent)")
    assert sorted(names) == sorted(["plain", "copi <b>&amp;<b>", "dbp"])
    assert len(browser.driver.find_elements("css selector", "#layer-charts .chart")) == 5


def test_click_in_the_legend_hides_one_series_with_its_band_everywhere(browser):
    browser.click("#curve-charts .legendtoggle")
    # A click may be the first of two: plotly waits for that.
    browser.wait("document.querySelector('#curve-charts .chart')._fullData"
                 ".some(trace => trace.visible === 'legendonly')", "the click")
    hidden = browser.run("return document.querySelector('#curve-charts .legendtext').textContent")
    left = [name for name in ALL if not hidden.startswith(name[:4])]
    assert len(left) == len(ALL) - 1
    for chart in browser.visible():
        assert sorted(chart["lines"]) == sorted(chart["bands"]) == sorted(left)
        assert chart["filled"] == len(left)
    time.sleep(0.5)  # else the next click is the second of a double click
    browser.click("#curve-charts .legendtoggle")
    browser.wait("!document.querySelector('#curve-charts .chart')._fullData"
                 ".some(trace => trace.visible === 'legendonly')", "the second click")
    for chart in browser.visible():
        assert sorted(chart["lines"]) == sorted(ALL)


def test_dragging_zooms_and_a_double_click_goes_back(browser):
    span = ("(([low, high]) => high - low)"
            "(document.querySelector('#curve-charts .chart')._fullLayout.xaxis.range)")
    before = browser.run(f"return {span}")
    plot = browser.driver.find_element("css selector", "#curve-charts .nsewdrag")
    browser.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)
    ActionChains(browser.driver).move_to_element(plot).click_and_hold().move_by_offset(
        150, 60).release().perform()
    browser.wait(f"{span} < {0.7 * before}", "the zoom")
    time.sleep(0.5)  # else the end of the drag is the first of three clicks
    ActionChains(browser.driver).move_to_element(plot).double_click().perform()
    browser.wait(f"Math.abs({span} - {before}) < 0.01", "the old range")


def test_hovering_tells_the_values(browser):
    plot = browser.driver.find_element("css selector", "#curve-charts .nsewdrag")
    browser.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)
    ActionChains(browser.driver).move_to_element(plot).move_by_offset(5, 0).perform()
    browser.wait("document.querySelector('#curve-charts .hoverlayer').textContent"
                 ".includes('3 of 3 seeds')", "the values")


def test_controls_of_the_curves(browser):
    last = "document.querySelector('#curve-charts .chart')._fullData.slice(-1)[0]"
    browser.click("input[name=axis][value=seconds]")
    assert browser.run(f"return {last}.x") == [2, 4, 6, 8]  # the plain group's
    browser.click("input[name=band][value=half]")
    wide = browser.run(f"return document.querySelector('#curve-charts .chart')._fullData[0].y[0]")
    browser.click("input[name=band][value=error]")
    assert browser.run(
        "return document.querySelector('#curve-charts .chart')._fullData[0].y[0]") < wide
    browser.click("input[name=band][value=none]")
    assert browser.visible()[0]["bands"] == []
    browser.click("input[name=seeds]")
    assert len(browser.visible()[0]["lines"]) == len(ALL) * (1 + len(SEEDS))
    browser.click("input[name=log]")
    assert browser.run("return [...document.querySelectorAll('#curve-charts .chart')]"
                       ".map(chart => chart._fullLayout.yaxis.type)") == [
                           "linear", "log", "log", "linear", "linear"]


def test_bands_stay_on_a_logarithmic_axis(browser):
    lowest = ("Math.min(...document.querySelectorAll('#curve-charts .chart')[2]._fullData"
              ".filter(trace => trace.fill === 'toself').flatMap(trace => trace.y))")
    browser.click("input[name=band][value=half]")
    assert browser.run(f"return {lowest}") < 0
    browser.click("input[name=log]")
    means = [sum(row(2, seed, epoch)["test_loss"] for seed in SEEDS) / len(SEEDS)
             for epoch in range(1, EPOCHS + 1)]
    assert browser.run(f"return {lowest}") == pytest.approx(min(means) / 10)


def test_layers_follow_the_chosen_group(browser):
    assert browser.run("return document.getElementById('group-name').textContent") != "plain"
    plain = browser.run("return data.groups.findIndex(group => group.plain)")
    browser.run("const select = document.getElementById('group'); select.value = arguments[0];"
                "select.dispatchEvent(new Event('change'))", plain)
    assert browser.run("return document.getElementById('group-name').textContent") == "plain"
    assert "No layer of this group is decorrelated" in browser.run(
        "return document.getElementById('layer-note').textContent")
    assert browser.run("return document.querySelector('#layer-charts .chart')._fullData.length"
                       ) == 2 * 3


def test_a_click_on_a_heading_sorts(browser):
    column = "[...document.querySelectorAll('#scores tbody tr')].map(row => row.cells[3].textContent)"
    browser.click("#scores thead button", 3)
    up = browser.run(f"return {column}")
    browser.click("#scores thead button", 3)
    assert up == sorted(up) and browser.run(f"return {column}") == up[::-1] != up


def test_dark_and_light(chromium, page):
    colours = ("return [getComputedStyle(document.body).backgroundColor,"
               "document.querySelector('#curve-charts .legendtext').style.fill,"
               "document.querySelector('#curve-charts .js-line').style.stroke]")
    chromium.open(page, "dark")
    dark = chromium.run(colours)
    chromium.click("#theme")
    light = chromium.run(colours)
    assert all(one != other for one, other in zip(dark, light)), (dark, light)
    chromium.click("#theme")
    assert chromium.run(colours) == dark
    chromium.open(page, "light")
    assert chromium.run(colours) == light
    assert chromium.problems() == []


def test_paper_has_everything_and_no_controls(chromium, page):
    chromium.open(page, "dark")
    chromium.run("window.seen = null; window.addEventListener('beforeprint', () => { window.seen = "
                 "{open: document.querySelectorAll('main details:not([open])').length === 0,"
                 " background: getComputedStyle(document.body).backgroundColor,"
                 " widths: [...document.querySelectorAll('.chart svg')].map(svg => svg.clientWidth)"
                 "}; })")
    pdf = chromium.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    assert base64.b64decode(pdf["data"]).startswith(b"%PDF")
    seen = chromium.run("return window.seen")
    assert seen["open"] and seen["background"] == "rgb(255, 255, 255)"
    assert 0 < max(seen["widths"]) <= 690  # pixels of the text on A4
    assert chromium.run("return getComputedStyle(document.body).backgroundColor"
                        ) != "rgb(255, 255, 255)"  # as before
    chromium.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert chromium.run("return [...document.querySelectorAll('button:not(thead button), input, select, nav, .modebar')]"
                        ".filter(element => element.getClientRects().length > 0).length") == 0
    assert chromium.problems() == []


def test_old_browsers_are_told(chromium, page):
    hook = chromium.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {
        "source": "delete window.DecompressionStream"})
    try:
        chromium.driver.get(page.as_uri())
        chromium.wait("!document.getElementById('trouble').hidden", "the message")
        assert "too old" in chromium.run("return document.getElementById('trouble').textContent")
        assert chromium.run("return document.querySelectorAll('#scores tbody tr').length") == 3
    finally:
        chromium.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", hook)
