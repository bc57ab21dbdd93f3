"""Plays the four stories of a change, and writes the pictures of the documentation: `make pictures`."""

from __future__ import annotations

import asyncio
import io
import secrets
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from PIL import Image
from playwright.async_api import Page, expect

from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from tests.support.chromium import MISSING, chromium, is_installed
from tests.support.databases import migrated_database
from tests.support.servers import kafka_address, postgres_dsn
from tests.system.stories.chapters import tell_all

FOLDER = Path(__file__).parents[2] / "docs" / "user" / "pictures"
DESK, PHONE = 1280, 360
# Screens and palettes of this size keep a picture below 150 kB.
MAX_HEIGHT, COLOURS = 1500, 256


class Picture(NamedTuple):
    """One file: which point of which story it shows, and how the page is seen."""

    name: str
    point: str
    width: int = DESK
    scheme: Literal["light", "dark"] = "light"


PICTURES = (
    Picture("list", "improved-list"),
    Picture("opened", "improved-opened"),
    Picture("plan", "improved-plan"),
    Picture("sealed", "improved-sealed"),
    Picture("ticket", "improved-started"),
    Picture("board", "improved-board"),
    Picture("study", "unchanged-study"),
    Picture("meeting", "improved-meeting"),
    Picture("verdict", "improved-effect"),
    Picture("verdict-dark", "improved-effect", scheme="dark"),
    Picture("verdict-phone", "improved-effect", width=PHONE),
    Picture("ledger", "decayed-ledger"),
)


async def take(page: Page, point: str) -> None:
    """Write every picture of this point, and leave the page as it was."""
    for picture in PICTURES:
        if picture.point == point:
            await page.set_viewport_size({"width": picture.width, "height": 800})
            await page.emulate_media(color_scheme=picture.scheme)
            await page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
            # Charts that are out of sight are fetched for paper only.
            await page.evaluate("dispatchEvent(new Event('beforeprint'))")
            await expect(page.locator(".chart:not(:has(svg))")).to_have_count(0)
            save(await page.screenshot(full_page=True), picture)
    await page.set_viewport_size({"width": DESK, "height": 800})
    await page.emulate_media(color_scheme="light")


def save(screenshot: bytes, picture: Picture) -> None:
    """Write the top of a screenshot with a palette."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(screenshot)) as whole:
        top = whole.convert("RGB").crop((0, 0, whole.width, min(whole.height, MAX_HEIGHT)))
    path = FOLDER / f"{picture.name}.png"
    top.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1000} kB", flush=True)


async def play(kafka: str, postgres: str, folder: Path) -> None:
    dsn, prefix = await migrated_database(postgres), f"pictures-{secrets.token_hex(4)}."
    await create_topics(KafkaAccess(kafka), prefix)
    async with chromium() as browser:
        await tell_all(browser, kafka, dsn, prefix, folder, take)


def main() -> None:
    if not is_installed():
        sys.exit(MISSING)
    with TemporaryDirectory() as text:
        folder = Path(text)
        with kafka_address(folder) as kafka, postgres_dsn(folder) as postgres:
            asyncio.run(play(kafka, postgres, folder))


if __name__ == "__main__":
    main()
