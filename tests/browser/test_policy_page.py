"""The policy of a workflow in a browser: form, text, what differs, what it would have changed, two who edit, versions."""

from __future__ import annotations

import re

import otlp
from collectors import CollectorProcess
from playwright.sync_api import Page, expect

STORED = {"expect": {"failures": 2}, "share": {"read": ["report.*"]}}
SAVE = re.compile("^Save…?$")  # with an ellipsis where it asks
EVIL = '<img src=x onerror="window.owned=1">'


def policy(collector: CollectorProcess) -> dict[str, object]:
    found: dict[str, object] = collector.item("/workflows/etl.nightly/policy")
    return found


def test_form_and_text_are_two_ways_into_one_document(collector: CollectorProcess, fresh, page: Page) -> None:
    """What one changes the other shows; a wrong key is named with the nearest, and not saved; a level is asked about once."""
    collector.send(*otlp.whole_run(1, "failed"))
    collector.put(f"/api/v1/workflows/etl.nightly/policy?author=ada&reason={EVIL}", STORED)
    collector.applied()
    page.goto(f"{fresh()}/policy?name=etl.nightly")
    expect(page.locator(".facts").first).to_contain_text(EVIL)
    text, save = page.locator("#yaml"), page.get_by_role("button", name=SAVE)
    expect(save).to_have_count(0)  # nothing is changed yet
    page.get_by_label("Attempts:").fill("3")
    expect(text).to_have_value("expect:\n  failures: 2\nshare:\n  read: [report.*]\nretry:\n  attempts: 3\n")
    expect(page.locator(".two .added")).to_have_text(["+ retry:", "+   attempts: 3"])
    expect(page.get_by_text("of the last 90 days looked at.")).to_be_visible()
    text.fill("expect: {failures: 2}\nretri: {attempts: 4}\nshare: {read: [report.*]}  # ours\n")
    expect(page.get_by_role("alert")).to_contain_text("retri: unknown key, with the value {'attempts': 4}; did you mean retry?")
    expect(page.get_by_text("Comments are not stored")).to_be_visible()
    expect(save).to_be_disabled()
    page.get_by_label("Channels:").fill("ops")
    expect(text).to_have_value(re.compile("retri:\n  attempts: 4\nshare:.*alert:\n  channels: .ops.\n", re.DOTALL))
    text.fill("retry: {attempts: 4}\nshare: {read: [report.*]}\n")
    expect(page.get_by_label("Attempts:")).to_have_value("4")
    expect(page.get_by_label("Channels:")).to_have_value("")
    page.get_by_role("button", name="Discard changes").click()
    expect(text).to_have_value("expect:\n  failures: 2\nshare:\n  read: [report.*]\n")
    text.fill("retry: {attempts: 4}\nshare: {read: [report.*]}\n")
    page.get_by_label("Why", exact=True).fill("the source drops connections")
    save.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("etl.nightly goes from expect to retry: what fails is tried again")
    dialog.get_by_role("button", name="Raise the level").click()
    expect(page.get_by_text("Stored as version 2.")).to_be_visible()
    assert policy(collector)["stored"] == {"retry": {"attempts": 4}, "share": {"read": ["report.*"]}}
    latest = collector.item("/workflows/etl.nightly/policy/versions")["items"][0]
    assert (latest["author"], latest["reason"]) == ("dashboard", "the source drops connections")
    assert page.evaluate("window.owned") is None


def test_two_who_edit_hear_of_each_other_and_a_version_comes_back(collector: CollectorProcess, fresh, page: Page) -> None:
    """Whoever is second is told who was faster, may compare, and save over it; each version shows what it changed."""
    collector.put("/api/v1/workflows/etl.nightly/policy?author=ada", {"expect": {"failures": 2}})
    page.goto(f"{fresh()}/policy?name=etl.nightly")
    page.get_by_label("Longest run:").fill("2h")
    save = page.get_by_role("button", name=SAVE)
    expect(save).to_be_enabled()
    collector.put("/api/v1/workflows/etl.nightly/policy?author=bob", {"expect": {"failures": 5}})
    save.click()
    expect(page.get_by_role("alert")).to_contain_text("Version 2 was stored by bob while you edited version 1.")
    assert policy(collector)["stored"] == {"expect": {"failures": 5}}
    page.get_by_role("button", name="Compare with it").click()
    expect(page.locator(".two .removed").first).to_have_text("-   failures: 5")
    save.click()
    expect(page.get_by_text("Stored as version 3.")).to_be_visible()
    assert policy(collector)["stored"] == {"expect": {"failures": 2, "max_duration": "2h"}}
    page.locator(".versions summary", has_text="v2").click()
    page.get_by_role("button", name="Edit back to v2").click()
    expect(page.get_by_label("Why", exact=True)).to_have_value("back to version 2")
    save.click()
    expect(page.get_by_text("Stored as version 4.")).to_be_visible()
    assert policy(collector)["stored"] == {"expect": {"failures": 5}}
