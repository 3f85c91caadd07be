"""The page in a real browser: chromium, headless, at a server that this module starts."""

import base64
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ratenet as rn

pytest.importorskip("nicegui", reason="the page is not installed: pip install 'ratenet[app]'")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install 'ratenet[test]'"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
CHROMIUM = CHROMIUM or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,  # it starts processes
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; install chromium"),
]
PATIENCE = 60_000  # ms


def served(folder, *words):
    """Start the command and return its process and address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ratenet", "app", *words, "--no-browser"]
    with (folder / f"log-{port}").open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if not k.startswith(("NICEGUI", "PYTEST"))},
        )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return process, address
        except OSError:
            assert process.poll() is None, (folder / f"log-{port}").read_text()
            time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a run of 40 units."""
    config = rn.TrainingConfig(epochs=1, units=40, batch_size=500, presentation="static")
    out = tmp_path_factory.mktemp("app") / "run"
    rn.train(config, out=out)
    return out


@pytest.fixture(scope="module")
def started(run):
    process, found = served(run.parent, str(run))
    yield process, found
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def server(started):
    return started[0]


@pytest.fixture(scope="module")
def address(started):
    return started[1]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser):
    found = browser.new_page(viewport={"width": 1280, "height": 900})
    found.set_default_timeout(PATIENCE)
    yield found
    found.close()


def latest(page):
    return page.evaluate("window.ratenet && ratenet.latest ? ratenet.latest() : null")


def wait_for(page, condition):
    page.wait_for_function(f"window.ratenet && ratenet.latest && {condition}", timeout=PATIENCE)


def test_drawing_a_stored_digit_gives_its_class_and_nothing_leaves_this_machine(page, address, run):
    images = rn.stimuli.load_images("mnist-5k").test
    answers = rn.load_run(run).answer(images).softmax(1)
    n = int(answers.amax(1).argmax())  # the clearest one
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/?fade=0&speed=25")
    wait_for(page, "ratenet.latest()")
    grey = base64.b64encode((255 * images.pixels[n]).byte().numpy().tobytes()).decode()
    page.evaluate(
        """(grey) => {
            const bytes = Uint8Array.from(atob(grey), (c) => c.charCodeAt(0));
            const pen = document.getElementById("pad").getContext("2d");
            bytes.forEach((v, n) => {
                pen.fillStyle = `rgb(${v},${v},${v})`;
                pen.fillRect(10 * (n % 28), 10 * Math.floor(n / 28), 10, 10);
            });
            ratenet.sendPad();
        }""",
        grey,
    )
    wait_for(page, "ratenet.latest().label === -1 && ratenet.latest().distance < 1e-3")
    assert latest(page)["answer"] == int(answers[n].argmax())
    assert page.inner_text("#answer") == str(int(answers[n].argmax()))
    assert all(re.match(rf"{address}|data:|blob:{address}", url) for url in asked), asked


def test_sliders_and_tabs(browser, page, address):
    page.goto(address)
    other = browser.new_page()
    page.on("close", lambda _: other.close())  # what is open is worked for
    other.goto(f"{address}/?tau=50&gain=0")
    wait_for(page, "ratenet.latest()")
    page.focus("#slider-weight_scale [tabindex]")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**weight_scale=1.01**")
    assert page.inner_text("#value-tau") == "10" and other.inner_text("#value-tau") == "50"
    wait_for(other, "ratenet.latest()")
    assert "weight_scale" not in other.url
    assert max(map(abs, latest(other)["drive"])) == 0 < max(map(abs, latest(page)["drive"]))


def test_wrong_addresses_are_told_on_the_page(page, address):
    page.goto(f"{address}/?tau=fast&image=../etc")
    assert "address, tau: expected a number, got 'fast'" in page.inner_text("#wrong")


def saved(page, button, folder):
    """Click a button that saves; return the file."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def test_a_digit_is_drawn_with_the_mouse_and_what_is_seen_is_saved(page, address, tmp_path):
    page.goto(f"{address}/?fade=0&speed=25")
    wait_for(page, "ratenet.latest()")
    page.get_by_role("button", name="Show the drawing").click()
    page.get_by_text("expected a digit, got an empty frame").wait_for()
    box = page.locator("#pad").bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(middle, box["y"] + 0.8 * box["height"], steps=10)
    page.mouse.up()
    wait_for(page, "ratenet.latest().label === -1 && ratenet.latest().distance < 1e-3")
    seen = np.reshape(latest(page)["image"], (28, 28))
    assert seen[8:20, 13:15].min() > 0.5 and seen[:, :8].max() == seen[:, 20:].max() == 0
    with Image.open(saved(page, "Save picture", tmp_path)) as picture:
        assert picture.format == "PNG" and picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    table = pd.read_csv(saved(page, "Save data", tmp_path))
    assert len(table) > 5 and table["time"].is_monotonic_increasing
    assert table["label"].iloc[-1] == -1 and table["distance"].iloc[-1] < 1e-2


def test_sliders_are_named_and_take_the_focus(page, address):
    page.goto(address)
    wait_for(page, "ratenet.latest()")
    noise = page.get_by_role("slider", name="noise")
    noise.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**noise=0.01**")
    assert noise.get_attribute("aria-valuenow") == "0.01"


def test_two_rules_learn(page, address):
    page.goto(f"{address}/learning?right=oja")
    page.wait_for_function("document.getElementById('step').textContent.startsWith('step 2 ')")
    assert re.fullmatch(r"\d+(\.\d)? %", page.inner_text("#left-accuracy"))


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
def test_other_hosts_and_origins_are_refused(address, headers):
    for path in ("/", "/learning", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(address + path, headers=headers))
        assert caught.value.code == 403
        caught.value.close()


def test_a_circuit_is_clicked_and_a_bad_folder_gives_a_sentence(tmp_path, page, run):
    process, address = served(tmp_path, "wilson_cowan_multistable")
    try:
        page.goto(address)
        page.wait_for_function(
            "document.getElementById('points')?.textContent.includes('unstable')"
        )
        page.focus("#plane")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        page.wait_for_function("document.getElementById('course-note').textContent.includes('E')")
        page.get_by_role("slider", name="refractoriness").focus()
        page.keyboard.press("ArrowLeft")
        page.wait_for_url("**refractoriness=0.9955&along=refractoriness")
        page.click("#plane")
        page.wait_for_function("document.getElementById('course-note').textContent.includes('E')")
        page.wait_for_function("document.getElementById('along').textContent === 'refractoriness'")
        table = pd.read_csv(saved(page, "Save data", tmp_path))
        low, high = table["value"].min(), table["value"].max()
        assert (low, high) == pytest.approx((0.1, 1.9))
    finally:
        process.terminate()
        process.wait(20)
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    process, address = served(tmp_path, str(copy))
    try:
        (copy / "config.toml").write_text("nonsense")
        page.goto(address)
        assert "config.toml" in page.inner_text("#wrong")
    finally:
        process.terminate()
        process.wait(20)


def seconds_used(process):
    """Return the CPU time of a process."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads CPU times from /proc")
def test_a_closed_tab_ends_its_work(browser, server, address):
    tab = browser.new_page()
    tab.goto(address)
    wait_for(tab, "ratenet.latest()")
    tab.close()
    for _ in range(60):
        before = seconds_used(server)
        time.sleep(1)
        if seconds_used(server) - before < 0.05:
            return
    raise AssertionError("the server is still at work a minute after its tabs were closed")
