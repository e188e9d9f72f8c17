"""The page in a real browser: a person's clicks and keys."""

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.viz.palette import class_colours
from tests.figures.conftest import make_photo

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    opened = webdriver.Chrome(options=options, service=service)
    yield opened
    opened.quit()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a photo.png"
    make_photo(60, 40).save(path)
    return path


def wait(browser, condition, seconds=30):
    return WebDriverWait(browser, seconds, poll_frequency=0.1).until(lambda _: condition())


def pixels(browser, canvas="labels") -> np.ndarray:
    script = f"return document.getElementById('{canvas}').toDataURL('image/png')"
    content = base64.b64decode(browser.execute_script(script).partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def test_from_a_photo_to_its_mask(browser, server: str, segmenter: Segmenter, photo: Path) -> None:
    def find(name: str):
        return browser.find_element(By.ID, name)

    browser.get(server)
    wait(browser, lambda: "runs/tiny" in find("model").text)

    find("go").click()  # too early: the page says what is missing
    wait(browser, lambda: find("error").text == "Choose a photo first.")
    find("file").send_keys(str(photo))
    wait(browser, lambda: "a photo.png" in find("dropped").text)
    find("classes").send_keys("sky,,road", Keys.ENTER)
    wait(browser, lambda: "empty name" in find("error").text)

    find("classes").clear()
    find("classes").send_keys("sky, road, <b>tree</b>", Keys.ENTER)
    wait(browser, lambda: find("below").is_displayed() and "60 x 40" in find("status").text)
    assert find("error").text == ""
    names = [each.text for each in browser.find_elements(By.CSS_SELECTOR, "#legend .name")]
    assert sorted(names) == ["<b>tree</b>", "road", "sky"]

    expected = segmenter.segment(Image.open(photo), ["sky", "road", "<b>tree</b>"])
    order = sorted(range(3), key=lambda index: (-expected.pixels[index], index))
    assert names == [expected.names[index] for index in order]
    drawn, colours = pixels(browser), class_colours(3, background=False)
    right = expected.labels[:, :-1] == expected.labels[:, 1:]
    inside = right[:-1] & (expected.labels[:-1, :-1] == expected.labels[1:, :-1])  # not an edge
    np.testing.assert_allclose(
        drawn[:-1, :-1, :3][inside], colours[expected.labels[:-1, :-1]][inside], atol=2
    )

    find("model").click()  # away from the text field; then keys
    browser.switch_to.active_element.send_keys("1")
    off = order[0]
    assert not browser.find_elements(By.CSS_SELECTOR, "#legend input")[0].is_selected()
    hidden = pixels(browser)[:-1, :-1, 3][inside & (expected.labels[:-1, :-1] == off)]
    assert (hidden == 0).all()
    browser.find_elements(By.CSS_SELECTOR, "#legend input")[0].click()
    np.testing.assert_array_equal(pixels(browser), drawn)

    browser.execute_script(
        "const slider = document.getElementById('opacity'); slider.value = 0;"
        "slider.dispatchEvent(new Event('input'))"
    )
    assert (pixels(browser)[..., 3] == 0).all()
    find("model").click()
    browser.switch_to.active_element.send_keys("+++")
    assert find("opacity").get_attribute("value") == "30"
    browser.switch_to.active_element.send_keys("v")
    names = [each.text for each in browser.find_elements(By.CSS_SELECTOR, "#legend .name")]
    assert all(name.startswith("Group ") for name in names)
    views = browser.find_elements(By.CSS_SELECTOR, "#views label")
    assert [view.text for view in views] == ["Classes", "Stage 1", "Stage 2", "Photo"]
    views[3].click()
    assert (pixels(browser)[..., 3] == 0).all()

    mask = find("mask")
    assert mask.get_attribute("download") == "a photo_mask.png"
    content = base64.b64decode(mask.get_attribute("href").partition(",")[2])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), expected.labels)
    problems = [
        entry["message"]
        for entry in browser.get_log("browser")
        if entry["level"] == "SEVERE" and "422" not in entry["message"]
    ]
    assert problems == []


def test_everything_is_reached_by_tab(browser, server: str) -> None:
    browser.get(server)
    wait(browser, lambda: "runs/tiny" in browser.find_element(By.ID, "model").text)
    reached = []
    for _ in range(20):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.append(browser.switch_to.active_element.get_attribute("id"))
    for name in ("file", "classes", "background", "go"):
        assert name in reached, name


def test_a_narrow_window_needs_no_sideways_scrolling(browser, server: str) -> None:
    browser.set_window_size(500, 900)
    browser.get(server)
    script = "return document.documentElement.scrollWidth - window.innerWidth"
    assert browser.execute_script(script) <= 0
    browser.set_window_size(1200, 900)
