#!/usr/bin/env python3
"""Takes the picture of the page that README shows: a real server, asked in a real browser (selenium, chromium).

    make page-picture
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from local_server import LocalServer

REPOSITORY = Path(__file__).parents[1]
TEXT = "Two hours late, but the pilot told jokes all the way home. Best flight this year! 😂"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apus", type=Path, default=REPOSITORY / ".build/release/apus", help="the binary")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs/page.png")
    arguments = parser.parse_args()
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        print("page_picture.py: there is no browser: apt-get install chromium chromium-driver", file=sys.stderr)
        return 2
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server", "--hide-scrollbars"):
        options.add_argument(argument)
    with LocalServer([arguments.apus, "serve", "--port", "0", "--no-self-test"]) as server:
        driver = webdriver.Chrome(options=options, service=Service(chromedriver))
        try:
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                   {"width": 1080, "height": 490, "deviceScaleFactor": 1, "mobile": False})
            driver.get(server.url)
            driver.execute_script("text.value = arguments[0]; text.dispatchEvent(new Event('input'))", TEXT)
            driver.execute_script("run.click()")
            WebDriverWait(driver, 30).until(lambda _: driver.find_elements(By.CSS_SELECTOR, "#verdict .label"))
            # The bars grow into their places.
            WebDriverWait(driver, 30).until(lambda _: driver.execute_script(
                "return document.getAnimations().every((one) => one.playState === 'finished')"))
            arguments.output.write_bytes(driver.get_screenshot_as_png())
        finally:
            driver.quit()
    print(f"{arguments.output}: {arguments.output.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
