"""What systemd is told about the collector. Pure."""

from __future__ import annotations

import re
from typing import Mapping, Sequence

from rota.agent.unit import quoted

LABEL = "rota.collector"

_UNIT = """\
# Written by `rota collector install`. Change it with `systemctl edit rota-collector`: another install would write it anew.
[Unit]
Description=rota collector: receives what jobs say, keeps it, and alerts
After=network.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=%(command)s
WorkingDirectory=/
%(environment)sEnvironmentFile=-%(secrets)s
Restart=always
RestartSec=1
# A sign of life is a request that went through all of it, every few seconds.
WatchdogSec=60
# A large journal may have to be read again first.
TimeoutStartSec=300
TimeoutStopSec=40
MemoryMax=%(memory)s
# The process that keeps the stores is started again by the one that receives.
OOMPolicy=continue
LimitNOFILE=65536
UMask=0077
%(hardening)s
[Install]
WantedBy=%(target)s
"""
# Allowed by every kernel to every user.
_HARDENING = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""
# It needs no power of root's, and writes to its home alone.
_SYSTEM_HARDENING = """\
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths=%(home)s
PrivateTmp=yes
PrivateDevices=yes
ProtectControlGroups=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
"""


def systemd_unit(command: Sequence[str], environment: Mapping[str, str], is_system: bool, user: str = "") -> str:
    """The text of ``rota-collector.service``.

    Args:
        command: what runs the collector in the foreground.
        environment: settings for it, ROTA_HOME among them; no secrets, everybody can read a unit.
        is_system: for the whole machine; else for one user.
        user: whose rights it has; empty: those of who starts it, which for the machine is root without root's powers.
    """
    hardening = _SYSTEM_HARDENING % {"home": quoted(environment["ROTA_HOME"])} if is_system else ""
    return _UNIT % {
        "command": " ".join(quoted(word).replace("$", "$$") for word in command),
        "environment": "".join("Environment=%s\n" % quoted("%s=%s" % pair) for pair in sorted(environment.items())),
        "secrets": secrets_file(is_system),
        "memory": _systemd_size(environment.get("ROTA_MEMORY") or "1GB"),
        "hardening": ("User=%s\n" % user if user else "") + _HARDENING + hardening,
        "target": "multi-user.target" if is_system else "default.target",
    }


def _systemd_size(size: str) -> str:
    """A size of rota's settings in systemd's words, which ignores a line with others. A little more than that: its K is 1024."""
    return re.sub("[ B]", "", size.upper())


def secrets_file(is_system: bool) -> str:
    """Where the unit looks for settings that nobody else may read, in systemd's words."""
    return "/etc/rota/collector.env" if is_system else "%h/.config/rota/collector.env"
