"""The page of `flamegraph` in headless Chromium, opened from the disk, the network off: what a person does with it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import capture_builder as build
from support import child, page
from support.capture_builder import Step

from pymemtrace.commands import main

pytest.importorskip("plotly", reason="plotly draws the page")
pytest.importorskip("selenium", reason="selenium drives the browser")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = [pytest.mark.slow_once, pytest.mark.not_sanitized]

PATIENCE = 60  # seconds; far more than it takes, on a machine that does other things too
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "las_to_html"
Driver = webdriver.Chrome


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    browser, server = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if browser is None or server is None:
        pytest.skip("no chromium, or no chromedriver, on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(server))
    try:
        made.set_page_load_timeout(PATIENCE)
        made.set_network_conditions(offline=True, latency=0, throughput=0)
        yield made
    finally:
        made.quit()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the example program."""
    folder = tmp_path_factory.mktemp("example")
    child.run([sys.executable, str(EXAMPLE / "generate.py"), "las", "--size", "100K", "--seed", "1"], folder)
    program = [str(EXAMPLE / "las_to_html.py"), "las", "html"]
    child.run([sys.executable, "-m", "pymemtrace", "run", "-q", "-o", "las.pmt", *program], folder, timeout=120)
    assert main(["flamegraph", str(folder / "las.pmt")]) == 0
    return folder / "las.html"


def wait(driver: Driver, condition: str) -> Any:
    """Until a JavaScript expression is true."""
    return WebDriverWait(driver, PATIENCE).until(lambda one: one.execute_script(f"return {condition}"))


def opened(driver: Driver, path: Path, size: tuple[int, int] = (1400, 900)) -> Driver:
    driver.set_window_size(*size)
    driver.get(path.as_uri())
    wait(driver, "document.body.dataset.ready === 'yes'")
    return driver


def nothing_went_wrong(driver: Driver) -> None:
    assert driver.get_log("browser") == []
    assert driver.execute_script("return performance.getEntriesByType('resource').map(one => one.name)") == []


def rows(driver: Driver) -> dict[str, float]:
    """What is drawn: text -> width in pixels."""
    found: dict[str, float] = driver.execute_script(
        "return Object.fromEntries(Array.from(document.querySelectorAll('#graph .slice'), one =>"
        " [one.textContent, one.querySelector('path').getBoundingClientRect().width]))"
    )
    return found


def click_row(driver: Driver, text: str) -> None:
    (first, *_) = [one for one in driver.find_elements(By.CSS_SELECTOR, "#graph .slice") if one.text.startswith(text)]
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", first)
    ActionChains(driver).move_to_element(first.find_element(By.CSS_SELECTOR, "path")).click().perform()


def test_it_opens_with_the_peak_and_its_stack(driver: Driver, example: Path) -> None:
    # WHEN
    opened(driver, example)
    # THEN
    assert "las_to_html.py" in driver.title
    assert driver.find_element(By.ID, "moment").text.endswith("MiB")
    assert "<module>" in driver.find_element(By.ID, "stack").text
    assert driver.execute_script("return document.body.dataset.view") == "peak"
    assert "add up to" in driver.find_element(By.CSS_SELECTOR, "footer").text
    drawn = rows(driver)
    assert len(drawn) > 20 and max(drawn.values()) > 1200
    nothing_went_wrong(driver)


def test_views(driver: Driver, example: Path) -> None:
    # GIVEN
    opened(driver, example)
    data = page.data_of(example.read_text("utf-8"))
    for view in ("growth", "net", "time", "calls", "peak"):
        # WHEN
        driver.find_element(By.CSS_SELECTOR, f"[data-view={view}]").click()
        # THEN
        wait(driver, f"document.body.dataset.view === '{view}'")
        assert driver.find_element(By.ID, "about-view").text == data["about_views"][view]
        assert any(text.startswith("<module>  las_to_html.py#1") for text in rows(driver))
    nothing_went_wrong(driver)


def test_zoom(driver: Driver, example: Path) -> None:
    # GIVEN
    opened(driver, example)
    driver.find_element(By.CSS_SELECTOR, "[data-view=time]").click()
    wait(driver, "document.body.dataset.view === 'time'")
    before = next(width for text, width in rows(driver).items() if text.startswith("convert_file"))
    # WHEN a row is clicked
    click_row(driver, "convert_file")
    # THEN it and its callers are as wide as the page, and what it calls shares that
    wait(driver, "document.body.dataset.zoomed !== '0'")
    zoomed = driver.execute_script("return document.body.dataset.zoomed")
    drawn = rows(driver)
    whole = driver.execute_script("return document.getElementById('graph').clientWidth")
    now = {text.split()[0]: width for text, width in drawn.items() if text.strip()}
    assert before < whole * 0.99 and now["convert_file"] == pytest.approx(whole, abs=2)
    assert now["main"] == pytest.approx(whole, abs=2) and now["<all>"] == pytest.approx(whole, abs=2)
    # WHEN one above it is clicked
    click_row(driver, "main")
    wait(driver, f"document.body.dataset.zoomed !== '{zoomed}'")
    # THEN, by a key, the whole tree is back
    driver.find_element(By.TAG_NAME, "body").send_keys(Keys.ESCAPE)
    wait(driver, "document.body.dataset.zoomed === '0'")
    again = next(width for text, width in rows(driver).items() if text.startswith("convert_file"))
    assert again == pytest.approx(before, abs=1)
    nothing_went_wrong(driver)


def coloured(driver: Driver) -> set[str]:
    """Texts of rows in the colour of what was found."""
    found: list[str] = driver.execute_script(
        "return Array.from(document.querySelectorAll('#graph .slice')).filter(one =>"
        " getComputedStyle(one.querySelector('path')).fill === 'rgb(255, 138, 196)').map(one => one.textContent)"
    )
    return {text for text in found if text.strip()}  # some rows have no room for one


def test_search(driver: Driver, example: Path) -> None:
    # GIVEN
    opened(driver, example)
    search, found = driver.find_element(By.ID, "search"), driver.find_element(By.ID, "found")
    driver.find_element(By.CSS_SELECTOR, "[data-view=time]").click()
    assert coloured(driver) == set()
    # WHEN
    search.send_keys("CONVERT_")
    # THEN rows of that name are marked, and what they are in all is said
    names = {"convert_folder", "convert_file"}  # soon: it begins to search while one types
    WebDriverWait(driver, 30).until(lambda driver: {text.split()[0] for text in coloured(driver)} == names)
    wait(driver, "document.getElementById('found').textContent.includes('found: ')")
    count, share = found.text.split(" found: ")
    assert int(count) >= 2 and share.endswith("% of all")
    # WHEN
    search.send_keys("nobody")
    # THEN
    wait(driver, "document.getElementById('found').textContent === 'not found'")
    assert coloured(driver) == set()
    nothing_went_wrong(driver)


def test_what_was_given_back_has_no_width(driver: Driver, tmp_path: Path) -> None:
    # GIVEN main, in which keep takes 50 pages, some 100, of which it gives 60 back, and all 80, and gives them back
    names, definitions = ["main", "keep", "some", "all", "take"], b""
    for number, name in enumerate(names):
        definitions += build.define_code(number + 1, 1, "/job/a.py", name)
        definitions += build.define_site(16 + 2 * number, number + 1, build.CALL, 1)
        definitions += build.define_site(17 + 2 * number, number + 1, build.RETURN, 1)
    steps = [Step(16, 10, 1000), Step(18, 10, 0), Step(19, 10, 50)]
    for site, taken, given in ((20, 100, 60), (22, 80, 80)):
        steps += [Step(site, 10, 0), Step(24, 10, 0), Step(25, 10, taken), Step(site + 1, 10, -given)]
    path = tmp_path / "x.pmt"
    path.write_bytes(page.Builder(definitions=definitions).build([*steps, Step(17, 10, 0)]))
    assert main(["flamegraph", str(path), "--measure", "net"]) == 0
    # WHEN
    opened(driver, path.with_suffix(".html"))
    # THEN the figures are what they are, and widths are what is left
    whole = driver.execute_script("return document.getElementById('graph').clientWidth")
    assert {text: round(width / whole, 2) for text, width in rows(driver).items()} == {
        "<all>  360.0 KiB": 1, "main  a.py#1  360.0 KiB": 1, "keep  a.py#1  200.0 KiB": 0.56,
        "some  a.py#1  160.0 KiB": 0.44, "take  a.py#1  400.0 KiB": 0.44,
    }  # fmt: skip
    nothing_went_wrong(driver)


def test_a_click_on_the_timeline_shows_the_stack(driver: Driver, example: Path) -> None:
    # GIVEN
    opened(driver, example)
    data = page.data_of(example.read_text("utf-8"))
    plot = driver.find_element(By.CSS_SELECTOR, "#timeline .nsewdrag")
    before = driver.find_element(By.ID, "moment").text
    width = plot.size["width"]
    # WHEN
    ActionChains(driver).move_to_element_with_offset(plot, int(-width * 0.4), 0).click().perform()
    # THEN it is that of the data: time, RSS, and frames, the innermost first
    wait(driver, f"document.getElementById('moment').textContent !== {before!r}")
    seconds = driver.find_element(By.ID, "moment").text.split(" ")[0]
    (line,) = data["timelines"]
    at = [index for index, time in enumerate(line["t"]) if f"{time:.6f}" == seconds]
    assert at and 0.05 < float(seconds) / line["t"][-1] < 0.2
    shown = [one.text for one in driver.find_elements(By.CSS_SELECTOR, "#stack button")]
    assert tuple(reversed(shown)) in {page.names_of(data, line["row"][index]) for index in at}
    # WHEN a frame is clicked
    driver.find_elements(By.CSS_SELECTOR, "#stack button")[-1].click()
    # THEN its row is as wide as the page
    wait(driver, f"document.body.dataset.zoomed === '{data['rows']['name'].index(data['strings'].index(shown[-1]))}'")
    nothing_went_wrong(driver)


def test_pointing_at_a_row_shows_its_figures(driver: Driver, example: Path) -> None:
    opened(driver, example)
    (row, *_) = [one for one in driver.find_elements(By.CSS_SELECTOR, "#graph .slice") if one.text.startswith("main")]
    ActionChains(driver).move_to_element(row).perform()
    text = wait(driver, "document.querySelector('#graph .hovertext')?.textContent")
    assert "las_to_html.py#" in text and "growth" in text and "called 1 times" in text


def test_hostile_names_are_shown_and_do_nothing(driver: Driver, tmp_path: Path) -> None:
    # GIVEN
    path = page.hostile(tmp_path / "x.pmt")
    assert main(["flamegraph", str(path)]) == 0
    # WHEN all of it is used
    opened(driver, path.with_suffix(".html"))
    for view in ("growth", "time", "calls"):
        driver.find_element(By.CSS_SELECTOR, f"[data-view={view}]").click()
        wait(driver, f"document.body.dataset.view === '{view}'")
    driver.find_element(By.CSS_SELECTOR, "[data-view=growth]").click()
    click_row(driver, "<script>window.hacked=1</script>")
    driver.find_element(By.ID, "search").send_keys("<script>")
    wait(driver, "document.getElementById('found').textContent.includes('found')")
    for row in driver.find_elements(By.CSS_SELECTOR, "#graph .slice")[:8]:
        ActionChains(driver).move_to_element(row).perform()
    # THEN the names are there, letter by letter, and none was obeyed
    drawn = "\n".join(rows(driver))
    for name in (
        page.NAMES[0],
        page.NAMES[1],
        page.NAMES[4],
        "\\x1b[31mred",
        "\\u202eright to left",
        "$x^2$ &lt;b&gt;",
    ):
        assert name in drawn, name
    assert driver.execute_script("return window.hacked") is None
    counted = (
        "return [document.scripts.length, document.querySelectorAll('#graph a, #stack img, #stack svg, #at a').length]"
    )
    assert driver.execute_script(counted) == [3, 0]
    nothing_went_wrong(driver)


@pytest.mark.parametrize("size", [(1400, 900), (700, 600), (500, 700)])
def test_it_fits_the_window(driver: Driver, example: Path, size: tuple[int, int]) -> None:
    opened(driver, example, size)
    assert driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    (timeline, stack) = (driver.find_element(By.ID, name).rect for name in ("timeline", "at"))
    beside = stack["x"] >= timeline["x"] + timeline["width"] - 1
    assert beside or stack["y"] >= timeline["y"] + timeline["height"] - 1
    nothing_went_wrong(driver)


def test_nothing_to_draw(driver: Driver, tmp_path: Path) -> None:
    # GIVEN a capture without events
    path = tmp_path / "x.pmt"
    path.write_bytes(page.Builder().build([]))
    assert main(["flamegraph", str(path)]) == 0
    # WHEN
    opened(driver, path.with_suffix(".html"))
    # THEN
    body = driver.find_element(By.TAG_NAME, "body").text
    assert "has no events" in body and "Nothing was held at the peak" in body
    assert not driver.find_element(By.ID, "timeline").is_displayed()
    driver.find_element(By.CSS_SELECTOR, "[data-view=growth]").click()
    wait(driver, "document.getElementById('nothing').textContent === 'RSS never rose.'")
    nothing_went_wrong(driver)
