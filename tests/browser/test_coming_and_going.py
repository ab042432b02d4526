"""The first run, a collector that goes away and comes back, keys, several tabs."""

from __future__ import annotations

import re
import subprocess
import sys

import otlp
from looking import dashboard, key_of
from playwright.sync_api import BrowserContext, Page, expect
from servers import client_of, environment_of


def test_an_empty_rota_shows_the_two_lines_and_turns_live(collector, fresh, page: Page, tmp_path) -> None:
    """With the address that a script needs; the first run makes it the overview, without a reload."""
    page.goto(fresh())
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    expect(page.get_by_text("import rota\nrota.watch()")).to_be_visible()
    expect(page.get_by_text(f"export ROTA_ENDPOINT=http://{collector.addresses['http']}", exact=True)).to_be_visible()
    (tmp_path / "nightly.py").write_text("import rota\nrota.watch()\n")
    subprocess.run([sys.executable, tmp_path / "nightly.py"], env=client_of(collector), check=True)
    expect(page.get_by_role("heading", name="Nothing needs you.")).to_be_visible()
    expect(page.locator(".workflows .row", has_text="nightly")).to_be_visible()


def test_a_collector_that_goes_away_is_said_calmly(new_collector, tmp_path, page: Page) -> None:
    """What was known stays, dimmed, with when it was known; when the collector is back, so is the page, by itself."""
    collector = new_collector(ROTA_HTTP=environment_of(tmp_path)["ROTA_HTTP"]).start()
    collector.send(*otlp.whole_run(1))
    collector.applied()
    with dashboard(collector.addresses["http"], tmp_path) as url:
        page.goto(url)
        expect(page.locator(".workflows .row")).to_be_visible()
        assert collector.stop() == 0
        said = f"The collector at http://{collector.addresses['http']} does not answer. Showing what was known at"
        expect(page.locator(".away")).to_contain_text(said)
        expect(page.locator(".workflows.is-stale .row")).to_be_visible()
        collector.start()
        expect(page.locator(".away")).to_have_count(0)
        expect(page.locator(".is-stale")).to_have_count(0)


def test_a_collector_that_was_never_there_is_waited_for(new_collector, tmp_path, page: Page) -> None:
    """The page says where it looks and what to do, and shows the collector as soon as there is one."""
    http = environment_of(tmp_path)["ROTA_HTTP"]
    with dashboard(http, tmp_path) as url:
        page.goto(url)
        expect(page.get_by_role("heading", name="The collector does not answer.")).to_be_visible()
        expect(page.get_by_text(f"Nobody listens at http://{http}.")).to_be_visible()
        new_collector(ROTA_HTTP=http).start()
        expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()


def test_who_has_no_key_is_asked_for_one(collector, fresh, page: Page) -> None:
    """A wrong one is refused with the collector's words; with the right one the page is there, and stays, until one logs out."""
    collector.send(*otlp.whole_run(1, "failed"))
    collector.applied()
    admin = key_of(collector, "admin")
    url = fresh()
    page.goto(url)
    expect(page.get_by_role("heading", name="This collector asks for a key")).to_be_visible()
    page.get_by_label("Key", exact=True).fill("rr_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("knows no such key, or it was revoked")
    page.get_by_label("Key", exact=True).fill(admin)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".workflows .row")).to_be_visible()
    assert admin not in str(page.evaluate("document.cookie"))
    page.goto(f"{url}/incidents")
    page.locator("a.case").click()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".facts").first).to_contain_text("acknowledged by admin")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="This collector asks for a key")).to_be_visible()


def test_what_a_key_may_not_do_is_not_offered(collector, fresh, page: Page) -> None:
    """A key that reads sees everything and no button; the collector would refuse anyway."""
    collector.send(*otlp.whole_run(1, "failed"))
    collector.applied()
    read = key_of(collector, "read", ROTA_TOKEN=key_of(collector, "admin"))
    url = fresh(ROTA_TOKEN=read)
    for where, heading in (("/workflow?name=etl.nightly", "etl.nightly"), (f"/run?id={otlp.run_id(1)}", "Run of")):
        page.goto(url + where)
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("Pause|Set outcome"))).to_have_count(0)
    expect(page.locator(".who")).to_have_count(0)


def test_a_revoked_key_ends_at_the_door(collector, fresh, page: Page) -> None:
    """The page that was open asks for a key again, and says why."""
    collector.send(*otlp.whole_run(1))
    collector.applied()
    admin = key_of(collector, "admin")
    read = key_of(collector, "read", ROTA_TOKEN=admin)
    page.goto(fresh())
    page.get_by_label("Key", exact=True).fill(read)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".workflows .row")).to_be_visible()
    admins = {"headers": {"Authorization": f"Bearer {admin}"}}
    keys = collector._client.get(f"{collector.url}/api/v1/keys", **admins).json()["items"]
    [identity] = [key["id"] for key in keys if key["scope"] == "read"]
    assert collector._client.delete(f"{collector.url}/api/v1/keys/{identity}", **admins).status_code == 200
    expect(page.get_by_text("is unknown, was revoked, or has expired")).to_be_visible()


def test_two_tabs_show_the_same(collector, fresh, context: BrowserContext, page: Page) -> None:
    """What is done in one is seen in the other, by itself."""
    collector.send(*otlp.whole_run(1, "failed"))
    collector.applied()
    url = fresh()
    other = context.new_page()
    other.goto(url)
    expect(other.get_by_role("heading", name="1 workflow needs someone")).to_be_visible()
    page.goto(f"{url}/incidents")
    page.locator("a.case").click()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".pill", has_text="acknowledged")).to_be_visible()
    expect(other.get_by_role("heading", name="Nothing needs you.")).to_be_visible()
    expect(other.locator("a.case")).to_contain_text("acknowledged by dashboard")
