"""Where alerts may go, and what is shown of where they go."""

from __future__ import annotations

import pytest

from rota_collector.notify import urls
from rota_collector.notify.apprise_channel import inert
from rota_collector.notify.guard import why_not


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "0.0.0.0", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1",
        "192.0.2.1", "168.63.129.16", "::1", "::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
        "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::", "localhost", "example.org", "2130706433",
        "0x7f.1", "127.1", "",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(address):
    """Private, loopback, link-local, shared, multicast, reserved, the same in the clothes of IPv6, and what is no address."""
    assert why_not(address) is not None


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"]
)
def test_what_is_public_may_be_reached(address):
    """Neighbours of private networks too, and a public address behind NAT64."""
    assert why_not(address) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/",
        "http://2130706433/",
        "https://[::1]:8443/x",
        "http://LOCALHOST:1/",
        "http://a.localhost/",
        "json://10.0.0.1/",
    ],
)
def test_a_private_address_is_refused_when_it_is_typed(url):
    """As soon as a person can be told, with the setting that allows it; and not when that is set."""
    assert "ROTA_WEBHOOK_ALLOW_PRIVATE=1" in str(urls.why_not(url, allow_private=False))
    assert urls.why_not(url, allow_private=True) is None


@pytest.mark.parametrize("url", ["example.org", "https://", "http://a b/", "http://a\r\nb/", "http://a:99999999/", "x" * 5000])
def test_what_is_no_address_is_refused_with_a_reason(url):
    """Whether private addresses are allowed or not."""
    assert urls.why_not(url, allow_private=True)


def test_addresses_are_shown_without_what_is_secret():
    """Users, passwords, paths and queries may all be."""
    assert urls.shown("https://user:password@example.org:8443/T00/secret?token=x") == "https://example.org:8443/…"
    assert urls.shown("https://example.org") == "https://example.org"
    said = urls.without_secrets("POST to /T00/verysecret failed for password1", "https://u:password1@example.org/T00/verysecret")
    assert said == "POST to /T00/… failed for …"


def test_text_calls_nobody():
    """What chats take for orders is broken up; anything else stays as it is."""
    assert inert("@everyone <!here> <@U123> <#C1>") == "@\u2060everyone <\u2060!here> <\u2060@U123> <\u2060#C1>"
    assert inert("mail ops@example.org, a < b") == "mail ops@example.org, a < b"
