"""The policy in a real browser: changed without scripts, seen by axe, on a phone, in the dark."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Pages
from tests.browser.test_keyboard import CONTROLS, walk
from tests.browser.test_pages import violations

FIELD = "wip-high.demo.max"
# The second has texts of markup.
FIELDS = ("/policy/pipelines/new", "/policy/pipelines/odd")


@pytest.fixture(scope="module")
async def managed(
    browser: Browser, kafka: str, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """Address of a service whose policy is changed in the browser."""
    process = await Pages(kafka, postgres, tmp_path_factory.mktemp("managed")).start(
        {"ANDON_POLICY_MANAGED": "browser"}
    )
    yield process.url
    process.stop()


async def change(page: Page, url: str, most: int, why: str) -> None:
    """Change a limit in its field, look at the review, and save."""
    await page.goto(f"{url}/what-if?pipeline=new")
    await page.fill(f'[name="{FIELD}"]', str(most))
    await page.click("#try")
    await page.click("#review")
    await expect(page.locator("h1")).to_have_text("What this changes")
    await page.fill("#why", why)
    await page.click("#save")
    await expect(page.get_by_role("status")).to_contain_text("is saved")


def limited(text: str, most: str) -> str:
    """The policy with another limit, whatever it is now."""
    return re.sub(r"max: 2\d", f"max: {most}", text)


async def in_force(page: Page, url: str, version: int) -> None:
    """Wait until the pages work by a version."""
    for _ in range(600):
        await page.goto(f"{url}/policy")
        if f"Version {version} is in force" in await page.inner_text("main"):
            return
        await page.wait_for_timeout(100)
    raise AssertionError(f"version {version} is not in force")


async def test_an_owner_changes_a_limit_and_goes_back_without_scripts(browser: Browser, managed: str) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()

    await change(page, managed, 26, "More people in demos")
    await in_force(page, managed, 2)
    await page.goto(f"{managed}/what-if?pipeline=new")
    assert await page.input_value(f'[name="{FIELD}"]') == "26"
    await page.goto(f"{managed}/policy/versions/1")
    await page.click("#back")
    assert await page.input_value("#why") == "Back to version 1:"
    await page.fill("#why", "Back to version 1: it was right")
    await page.click("#save")
    await in_force(page, managed, 3)
    rows = await page.locator(".versions tbody tr").all_inner_texts()
    await context.close()

    assert [re.sub(r"\s+", " ", row).split(" ")[1] for row in rows] == ["3", "2", "1"]
    assert "it was right" in rows[0]


@pytest.mark.parametrize("width", [1280, 360])
async def test_fields_are_changed_by_keyboard_and_without_scripts(browser: Browser, managed: str, width: int) -> None:
    context = await browser.new_context(java_script_enabled=False, viewport={"width": width, "height": 800})
    page = await context.new_page()
    await page.goto(managed + FIELDS[0])
    controls = await page.evaluate(CONTROLS)

    assert await walk(page) == controls
    stage = page.get_by_role("group", name="Demo")
    await stage.get_by_label("Place", exact=True).press("ArrowUp")
    await stage.get_by_label("Remove it").press("Space")
    assert await stage.get_by_label("Remove it").is_checked()
    await stage.get_by_label("Remove it").press("Space")
    await stage.get_by_label("Name on pages").press("Enter")

    await expect(page.locator("h1")).to_have_text("What this changes")
    lines = await page.locator(".diff .removed code").all_inner_texts()
    await context.close()
    assert [line.strip() for line in lines] == ["- {id: demo, name: Demo}"]


async def test_an_owner_adds_a_pipeline_by_its_form_without_scripts(browser: Browser, managed: str) -> None:
    """From the form to the page of the pipeline and of its stage; what is wrong in the form is said at its field."""
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{managed}/policy/shared")
    base = int(await page.input_value('[name="base"]'))
    form = page.get_by_role("group", name="Add a pipeline")
    await form.get_by_label("The CRM's id or name", exact=True).fill("renewals")
    await form.get_by_label("Name of the pipeline").fill("Renewals & extensions")
    await form.get_by_label("Owner: name").fill("Rita")
    await form.get_by_label("Owner: mail address").fill("rita")
    await form.get_by_label("First stage: the CRM's id or name").fill("due")
    await page.click("#show")

    await expect(page.get_by_role("alert")).to_contain_text("not a mail address", ignore_case=True)
    assert await form.get_by_label("Name of the pipeline").input_value() == "Renewals & extensions"
    await form.get_by_label("Owner: mail address").fill("rita@x.example")
    await page.click("#show")
    await expect(page.locator(".effect")).to_contain_text("Renewals & extensions: This pipeline is new.")
    await page.fill("#why", "Renewals have a flow of their own")
    await page.click("#save")
    await in_force(page, managed, base + 1)
    await page.goto(f"{managed}/pipelines")
    await page.get_by_role("link", name="Renewals & extensions").first.click()
    await expect(page.locator("h1")).to_contain_text("Renewals & extensions")
    assert (await page.goto(f"{managed}/stage?pipeline=renewals&stage=due")).status == 200
    assert (await page.goto(f"{managed}/policy/pipelines/renewals")).status == 200
    assert await page.input_value('[name="owner.mail"]') == "rita@x.example"
    await context.close()


async def test_the_pages_of_the_policy_keep_wcag(browser: Browser, managed: str) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    found = dict[str, list[str]]()
    for path in ("/policy", "/policy/versions/1", "/policy/shared", *FIELDS, "/policy/text"):
        await page.goto(managed + path)
        found[path] = await violations(page)
    await page.goto(managed + FIELDS[0])
    await page.fill('[name="owner.mail"]', "nobody")
    await page.fill('[name="stages.0.id"]', "")
    await page.click("#show")
    await expect(page.get_by_role("alert")).to_contain_text("not a mail address", ignore_case=True)
    found["fields"] = await violations(page)
    await page.goto(f"{managed}/policy/text")
    base, text = await page.input_value('[name="base"]'), await page.input_value("#text")
    await page.fill("#text", limited(text, "twenty"))
    await page.click("main button.main")
    await expect(page.get_by_role("alert")).to_contain_text("write")
    found["faults"] = await violations(page)
    await page.fill("#text", limited(text, "27") + "# " + "a long comment " * 30 + "\n")
    await page.click("main button.main")
    found["review"] = await violations(page)
    await change(page, managed, 28, "Meanwhile")
    await page.goto(f"{managed}/policy/text")
    await page.evaluate("base => { document.querySelector('[name=base]').value = base }", base)
    await page.fill("#text", limited(text, "29"))
    await page.click("main button.main")
    await expect(page.locator("h1")).to_have_text("The policy has changed meanwhile")
    found["conflict"] = await violations(page)
    await context.close()

    assert {name: some for name, some in found.items() if some} == {}
