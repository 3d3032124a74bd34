"""The documentation: the site builds without a warning, and the tutorial's method runs."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from headless_browser import assert_no_errors, headless_browser, show

from bench.cli import main
from bench.registry.registry import METHODS

ROOT = Path(__file__).parents[1]
TUTORIAL = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    (code,) = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
    path = tmp_path / "mean_match.py"
    path.write_text(code, encoding="utf-8")
    yield path
    METHODS.unregister("mean-match")


def test_the_tutorials_method_conforms_and_runs(
    plugin: Path, tmp_path: Path, data_dir: Path, no_plots: None
) -> None:
    result = CliRunner().invoke(main, ["conform", "mean-match", "--plugin", str(plugin)])
    assert result.exit_code == 0, result.output
    arguments = [
        "run", "--plugin", str(plugin), "--method", "random,mean-match", "--dataset", "digits",
        "--ipc", "1", "--profile", "smoke", "--arch", "convnet2(width=8)", "--eval-nets", "1",
        "--store", str(tmp_path / "store"), "--data-dir", str(data_dir),
    ]  # fmt: skip
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "mean-match" in result.output
    _change(plugin)
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 0, again.output
    assert "the method 'mean-match' has other code" in again.stderr
    assert "are computed again; --keep-cached keeps them" in again.stderr
    endings = re.findall(r"\] (\S+) on .*?: (ok|cached)", again.stderr)
    assert sorted(endings) == [("mean-match", "ok")] * 2 + [("random", "cached")] * 2


def _change(plugin: Path) -> None:
    """Make the change that the tutorial suggests."""
    assert "say `square()` to `abs()`" in TUTORIAL
    text = plugin.read_text(encoding="utf-8")
    changed = text.replace(".square()", ".abs()")
    assert changed != text
    plugin.write_text(changed, encoding="utf-8")


def test_the_commands_of_the_tutorial_exist() -> None:
    named = set(re.findall(r"^bench ([a-z]+)", TUTORIAL, re.MULTILINE))
    assert named == {"run", "conform", "plot", "report"}
    for name in named:
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built without a warning."""
    for module in ("mkdocs", "mkdocstrings", "latex2mathml"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_is_whole(site: Path) -> None:
    reference = (site / "cli.html").read_text(encoding="utf-8")
    assert "--time-budget" in reference
    assert reference.count("<strong>Examples:</strong>") > 20
    assert re.search(r'id="bench-data-verify"', reference)
    assert "\\b" not in reference
    assert "\b" not in reference
    assert "<math" in (site / "methods/dim.html").read_text(encoding="utf-8")
    for page in site.rglob("*.html"):
        for formula in re.findall(r"<math.*?</math>", page.read_text(encoding="utf-8"), re.DOTALL):
            assert "\\" not in re.sub(r"<[^>]+>", "", formula), "LaTeX that the converter left"
    assert "bench.load" in (site / "api.html").read_text(encoding="utf-8")


@pytest.mark.browser
def test_the_site_works_from_disk(site: Path) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    with headless_browser() as browser:
        wait = WebDriverWait(browser, 30)
        show(browser, (site / "index.html").as_uri(), 1400, "dark")
        scheme = "return document.body.getAttribute('data-md-color-scheme')"
        assert browser.execute_script(scheme) == "slate"
        switch = "[data-md-component=palette] label:not([hidden])"
        wait.until(lambda _: browser.find_elements("css selector", switch))[0].click()
        wait.until(lambda _: browser.execute_script(scheme) == "default")
        field = browser.find_element("css selector", "input.md-search__input")
        field.click()
        field.send_keys("herding")
        results = "a.md-search-result__link"
        wait.until(lambda _: browser.find_elements("css selector", results))
        addresses = [
            link.get_attribute("href") for link in browser.find_elements("css selector", results)
        ]
        assert any("methods/herding.html" in address for address in addresses)
        assert_no_errors(browser)
