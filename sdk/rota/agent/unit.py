"""What the supervisors of this world are told about the agent: a systemd unit, a launchd property list. Pure."""

from __future__ import annotations

from typing import Mapping, Sequence

SYSTEM_DOOR = "/run/rota/agent.sock"
LABEL = "rota.agent"

_UNIT = """\
# Written by `rota agent install`. Change it with `systemctl edit rota-agent`: another install would write it anew.
[Unit]
Description=rota agent: ships what scripts leave in the spool, and sees how they end
After=network.target
StartLimitIntervalSec=0

[Service]
ExecStart=%(command)s
WorkingDirectory=/
%(environment)sEnvironmentFile=-%(secrets)s
Restart=always
RestartSec=1
TimeoutStopSec=10
# Jobs come first, whatever the agent has to do.
CPUWeight=20
IOWeight=20
MemoryHigh=128M
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
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native
"""
# Of root's powers only those of becoming a user and of ending what it started. It has to see /proc, /tmp and homes as they are.
_SYSTEM_HARDENING = """\
RuntimeDirectory=rota
StateDirectory=rota
StateDirectoryMode=0700
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL
ProtectSystem=full
ProtectControlGroups=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes
PrivateDevices=yes
"""


def systemd_unit(command: Sequence[str], environment: Mapping[str, str], is_system: bool) -> str:
    """The text of ``rota-agent.service``.

    Args:
        command: what runs the agent in the foreground.
        environment: settings for it; no secrets, everybody can read a unit. Those belong into the file that the unit names.
        is_system: for the whole machine, as root; else for one user.
    """
    known = {**environment, **({"ROTA_AGENT": SYSTEM_DOOR} if is_system else {})}
    return _UNIT % {
        "command": " ".join(quoted(word).replace("$", "$$") for word in command),
        "environment": "".join("Environment=%s\n" % quoted("%s=%s" % pair) for pair in sorted(known.items())),
        "secrets": secrets_file(is_system),
        "hardening": _HARDENING + (_SYSTEM_HARDENING if is_system else ""),
        "target": "multi-user.target" if is_system else "default.target",
    }


def secrets_file(is_system: bool) -> str:
    """Where the unit looks for ``ROTA_TOKEN=…``, in systemd's words."""
    return "/etc/rota/agent.env" if is_system else "%h/.config/rota/agent.env"


def launchd_plist(command: Sequence[str], environment: Mapping[str, str], log: str, label: str = LABEL) -> str:
    """The text of ``<label>.plist``; what is said to people goes to the file ``log``."""
    import plistlib

    told = {
        "Label": label,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environment),
        "WorkingDirectory": "/",
        "RunAtLoad": True,
        "KeepAlive": True,
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardErrorPath": log,
    }
    return plistlib.dumps(told).decode("utf-8")


def quoted(text: str) -> str:
    """One word in systemd's syntax; ``%`` begins one of its specifiers."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return '"%s"' % escaped
