"""The report page in a real browser: what a reader does, at two widths and in both schemes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from headless_browser import assert_no_errors, headless_browser, show
from report_rows import (
    evaluation,
    example_evaluations,
    example_failures,
    failure,
    write_store,
)
from striped_sets import save_stripes

from bench.cli import main
from bench.ledger.cell import percent_mark
from bench.ledger.store import Store

pytestmark = pytest.mark.browser

WIDTHS, SCHEMES = (400, 1600), ("light", "dark")


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with headless_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("report")
    evaluations = example_evaluations()
    early = [
        replace(
            one, percent=percent, changed=percent_mark(percent), cell_id=f"{one.cell_id}-{percent}",
            accuracies=tuple(value * percent / 100 for value in one.accuracies),
            distil_id=f"{one.distil_id}-{percent}",
        )
        for one in evaluations
        if (one.method, one.dataset) == ("dm", "svhn") and one.ipc != 50
        for percent in (25, 50)
    ]  # fmt: skip
    evaluations += early
    store = write_store(root / "store", evaluations, example_failures())
    save_stripes(Store(store).artefact("dm-svhn-0-1"))
    result = CliRunner().invoke(main, ["report", "--store", str(store), "-o", str(root)])
    assert result.exit_code == 0, result.output
    return (root / "report.html").as_uri()


@pytest.fixture
def page(driver: Any, address: str) -> Iterator[Any]:
    show(driver, address, 1600, "light")
    yield driver
    assert_no_errors(driver)


def texts(page: Any, column: str) -> list[str]:
    """Return what the visible rows of the full table show in a column."""
    script = """
      const heads = [...document.querySelectorAll('#table thead th')];
      const at = heads.findIndex((head) => head.textContent.trim() === arguments[0]);
      return [...document.querySelectorAll('#table tbody tr')].filter((row) => !row.hidden)
        .map((row) => row.cells[at].textContent.trim());
    """
    return list(page.execute_script(script, column))


def find(page: Any, selector: str) -> Any:
    return page.find_element("css selector", selector)


def head(page: Any, column: str) -> Any:
    for button in page.find_elements("css selector", "#table thead button"):
        if button.text.strip("↑↓ ") == column:
            return button
    raise AssertionError(f"no column {column}")


def click(page: Any, element: Any) -> None:
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def test_a_column_sorts_by_value_and_back(page: Any) -> None:
    click(page, head(page, "Accuracy (%)"))
    rising = [float(text.split(" ")[0]) for text in texts(page, "Accuracy (%)")]
    assert rising == sorted(rising)
    assert find(page, "th[aria-sort=ascending]").text.startswith("Accuracy")
    click(page, head(page, "Accuracy (%)"))
    falling = [float(text.split(" ")[0]) for text in texts(page, "Accuracy (%)")]
    assert falling == sorted(rising, reverse=True)


def test_bytes_are_sorted_by_size_not_by_text(page: Any) -> None:
    click(page, head(page, "Stored"))
    keys = page.execute_script(
        "return [...document.querySelectorAll('#table tbody tr')].map((row) => "
        "[...row.cells].map((cell) => cell.dataset.key))"
    )
    names = [each.text for each in page.find_elements("css selector", "#table thead th")]
    shown = texts(page, "Stored")
    assert len({text.split(" ")[1] for text in shown}) > 1
    assert len(keys) == len(shown)
    assert any(name.startswith("Stored") for name in names)
    values = page.execute_script(
        "const at = [...document.querySelectorAll('#table thead th')]"
        ".findIndex((each) => each.textContent.trim() === 'Stored');"
        "return [...document.querySelectorAll('#table tbody tr')]"
        ".map((row) => Number(row.cells[at].dataset.key))"
    )
    assert values == sorted(values)


def test_search_and_filters_select_rows(page: Any) -> None:
    total = len(texts(page, "Method"))
    find(page, "#search").send_keys("svhn dim")
    assert set(texts(page, "Dataset")) == {"svhn"}
    assert set(texts(page, "Method")) == {"DiM"}
    assert find(page, "#shown").text.endswith(f"of {total} results are shown.")
    find(page, "#search").clear()
    find(page, "#search").send_keys(" ")
    assert len(texts(page, "Method")) == total
    find(page, "[data-filter] option:nth-child(3)").click()
    assert len(set(texts(page, "Dataset"))) == 1


def test_columns_are_hidden_and_shown(page: Any) -> None:
    click(page, find(page, ".menu summary"))
    box = find(page, "[data-column='0']")
    assert head(page, "Dataset").is_displayed()
    box.click()
    assert "Dataset" not in [b.text for b in page.find_elements("css selector", "#table button")]
    box.click()
    assert head(page, "Dataset").is_displayed()


@pytest.mark.parametrize("width", [*WIDTHS, 840])
def test_the_list_of_columns_fits_and_closes(driver: Any, address: str, width: int) -> None:
    from selenium.webdriver import Keys

    show(driver, address, width, "light")
    summary = find(driver, ".menu summary")
    click(driver, summary)
    choices = find(driver, ".choices")
    assert choices.is_displayed()
    assert 0 <= choices.rect["x"] <= width - choices.rect["width"]
    find(driver, "[data-column='1']").send_keys(Keys.ESCAPE)
    assert not choices.is_displayed()
    assert driver.switch_to.active_element == summary
    click(driver, summary)
    assert choices.is_displayed()
    click(driver, find(driver, "#search"))
    assert not choices.is_displayed()


def test_the_sections_are_in_reach_wherever_one_is(page: Any) -> None:
    page.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    links = find(page, "nav[aria-label=Sections]")
    assert page.execute_script("return arguments[0].getBoundingClientRect().top", links) == 0
    find(page, "nav a[href='#part-all']").click()
    top = "return arguments[0].getBoundingClientRect().top"
    assert page.execute_script(top, find(page, "#h-all")) >= links.size["height"]


# What Tab reaches, and how it differs while it has the focus.
TAB_STOPS = """
  const look = (each) => {
    const style = getComputedStyle(each);
    return [style.outlineStyle, style.outlineWidth, style.stroke, style.strokeWidth].join();
  };
  const each = document.activeElement;
  if (each === document.body) return null;
  const focused = look(each);
  each.blur();
  const plain = look(each);
  each.focus({ focusVisible: true });
  return [each.localName, each.outerHTML.slice(0, 80), focused !== plain];
"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_focus_is_visible_at_every_stop(driver: Any, address: str, scheme: str) -> None:
    from selenium.webdriver import ActionChains, Keys

    show(driver, address, 1600, scheme)
    stops = []
    for _ in range(200):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        stop = driver.execute_script(TAB_STOPS)
        if stop is None:
            break
        stops.append(stop)
    tags = {tag for tag, _, _ in stops}
    assert tags >= {"a", "button", "input", "select", "summary", "path", "div"}
    assert [text for _, text, is_visible in stops if not is_visible] == []


def test_what_is_copied_is_what_is_shown(page: Any) -> None:
    find(page, "#search").send_keys("svhn herding")
    copied = {}
    for kind in ("csv", "latex"):
        button = find(page, f"[data-copy={kind}]")
        click(page, button)
        page.implicitly_wait(2)
        find(page, f"[data-copy={kind}][data-copied]")
        copied[kind] = button.get_attribute("data-copied")
    rows = copied["csv"].splitlines()
    assert rows[0].startswith("Dataset,Method,IPC,Accuracy (%)")
    assert len(rows) == 1 + len(texts(page, "Method"))
    assert "\\begin{tabular}" in copied["latex"]
    assert "Accuracy (\\%)" in copied["latex"]
    assert "$\\pm$" in copied["latex"]
    assert copied["latex"].count(" \\\\") == len(rows)


def test_a_point_says_its_value(page: Any) -> None:
    point = find(page, ".chart > svg .point")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    from selenium.webdriver import ActionChains

    ActionChains(page).move_to_element(point).perform()
    tip = find(page, "#tip")
    assert tip.is_displayed()
    assert tip.text == point.get_attribute("aria-label")
    assert "%" in tip.text


def test_a_learning_curve_says_its_values_whatever_the_budget(page: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    click(page, find(page, "[name=axis][value=bytes]"))
    curve = find(page, "#part-learning .chart > svg")
    assert curve.is_displayed()
    points = curve.find_elements("css selector", ".line[data-line='0'] .point")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", curve)
    tip, said = find(page, "#tip"), []
    for point in points:
        ActionChains(page).move_to_element(point).perform()
        assert tip.is_displayed()
        said.append(tip.text)
    shares = ["25 %", "50 %", "100 %"]
    assert [text.partition("distillation ")[2].partition(",")[0] for text in said] == shares
    assert all(text.startswith("DM, IPC 1: ") for text in said)
    page.execute_script("arguments[0].focus()", points[0])
    points[0].send_keys(Keys.ARROW_RIGHT)
    assert tip.text == said[1]
    button = find(page, "#part-learning .legend button")
    click(page, button)
    assert not points[0].is_displayed()
    assert find(page, "#part-learning .line[data-line='1']").is_displayed()


def test_another_budget_and_a_line_switched_off(page: Any) -> None:
    click(page, find(page, "[name=axis][value=bytes]"))
    shown = [
        svg.get_attribute("data-axis")
        for svg in page.find_elements("css selector", "#part-charts .chart > svg")
        if svg.is_displayed()
    ]
    assert set(shown) == {"bytes"}
    button = find(page, "#part-charts .legend button")
    click(page, button)
    assert button.get_attribute("aria-pressed") == "false"
    assert not find(page, ".chart > svg[data-axis=bytes] .line[data-line='0']").is_displayed()


@pytest.mark.parametrize("width", WIDTHS)
def test_images_of_distilled_sets_are_drawn(driver: Any, address: str, width: int) -> None:
    show(driver, address, width, "dark")
    image = find(driver, ".gallery img")
    driver.execute_script("arguments[0].scrollIntoView()", image)
    size = driver.execute_async_script(
        "const [image, done] = arguments;"
        "image.decode().then(() => done([image.naturalWidth, image.naturalHeight]))", image
    )  # fmt: skip
    assert size == [8, 16]
    assert image.rect["width"] * 2 == image.rect["height"]
    assert image.get_attribute("alt") == "DM, svhn, IPC 1: 0, 1"
    rows = driver.find_elements("css selector", ".gallery li")
    middles = [row.rect["y"] + row.rect["height"] / 2 - image.rect["y"] for row in rows]
    assert middles == pytest.approx([image.rect["height"] / 4, image.rect["height"] * 3 / 4], abs=2)


def test_everything_is_reached_by_the_keyboard(page: Any) -> None:
    from selenium.webdriver import Keys

    button = head(page, "Accuracy (%)")
    button.send_keys(Keys.ENTER)
    assert find(page, "th[aria-sort=ascending]").text.startswith("Accuracy")
    point = find(page, ".chart > svg .point[tabindex='0']")
    page.execute_script("arguments[0].focus()", point)
    assert find(page, "#tip").is_displayed()
    first = find(page, "#tip").text
    point.send_keys(Keys.ARROW_RIGHT)
    assert find(page, "#tip").text != first
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not find(page, "#tip").is_displayed()


def test_a_value_stays_beside_its_point_while_the_page_scrolls(page: Any) -> None:
    point, tip = find(page, ".chart > svg .point[tabindex='0']"), find(page, "#tip")
    page.execute_script("window.scrollTo(0, 0); arguments[0].focus()", point)
    gap = (
        "return arguments[0].getBoundingClientRect().top"
        " - arguments[1].getBoundingClientRect().bottom"
    )
    scrolled = "window.scrollBy(0, 40); requestAnimationFrame(() => setTimeout(arguments[0], 0))"
    for _ in range(2):
        page.execute_async_script(scrolled)
        assert tip.is_displayed()
        assert page.execute_script(gap, point, tip) == pytest.approx(6, abs=1)


def test_the_scheme_can_be_chosen(page: Any) -> None:
    def ground() -> str:
        return str(page.execute_script("return getComputedStyle(document.body).backgroundColor"))

    before = ground()
    find(page, "#scheme").click()
    assert ground() != before
    find(page, "#scheme").click()
    assert ground() == before


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_is_accessible(
    driver: Any, address: str, width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_core_python.selenium", reason="needs axe-core-python")
    show(driver, address, width, scheme)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(driver)
    violations = [
        (one["id"], [node["html"][:120] for node in one["nodes"][:3]])
        for one in found["violations"]
    ]
    assert violations == []


def test_the_file_can_be_opened_again_after_a_download(page: Any, tmp_path: Path) -> None:
    page.execute_cdp_cmd(
        "Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    click(page, find(page, "[data-download=json]"))
    page.implicitly_wait(0)
    for _ in range(100):
        if (tmp_path / "results.json").exists():
            break
        page.execute_async_script("setTimeout(arguments[0], 50)")
    assert (tmp_path / "results.json").read_text().startswith('{\n  "results"')


def test_text_of_records_runs_no_code(driver: Any, tmp_path: Path) -> None:
    from selenium.common.exceptions import NoAlertPresentException

    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    one = evaluation(method=evil, dataset=evil, changed=evil, eval_arch=evil, dataset_note=evil)
    store = write_store(tmp_path / "store", [one], [failure(reason=evil, method=evil)])
    result = CliRunner().invoke(main, ["report", "--store", str(store), "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    show(driver, (tmp_path / "report.html").as_uri(), 1600, "light")
    with pytest.raises(NoAlertPresentException):
        _ = driver.switch_to.alert.text
    assert evil in texts(driver, "Dataset")
    find(driver, "#search").send_keys("<img src=x")
    assert len(texts(driver, "Dataset")) == 1
    assert driver.get_log("browser") == []
