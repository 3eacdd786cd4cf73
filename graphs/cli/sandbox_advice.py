"""What `modelwright doctor` says of the sandbox: why not a stronger tier, what to do about it, what stays open."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.sandbox import Probe

_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_NAMESPACES = Path("/proc/sys/user/max_user_namespaces")
_CLONE = Path("/proc/sys/kernel/unprivileged_userns_clone")
_PROFILE = """\
abi <abi/4.0>,
include <tunables/global>
profile modelwright {interpreter} flags=(unconfined) {{
  userns,
}}"""


def sandbox_problems(probe: Probe) -> list[str]:
    """One sentence per tier that cannot be entered, with its cure, and a warning in T3."""
    found = []
    for tier, why in probe.refused.items():
        cure = _strong_cure() if tier == "T1" else _standard_cure(probe)
        found.append(f"sandbox tier {tier} cannot be entered ({why}): {cure}")
    if probe.tier == "T3":
        found.append("programs run uncontained: those of a language model are refused without --allow-unsandboxed")
    return found


def sandbox_openings(probe: Probe) -> list[str]:
    """What the tier in use leaves open on this machine."""
    if probe.tier == "T1":
        return [] if probe.user != "root" else ["programs run as root in a user namespace of their own"]
    if probe.tier == "T3":
        return ["files and processes of this user, and the network"]
    found = ["names and arguments of running processes can be read"]
    if probe.user == "root":
        found.append(
            "programs run as root without capabilities; only the watchdog limits how many processes they start"
        )
    if probe.user == "own":
        found.append("files that other programs of this user keep in /dev/shm can be read and written")
    if probe.passage:
        found.append(
            "programs run as a spare user that may pass closed folders, because libraries or jobs lie in one; "
            "Landlock alone decides which files they read"
        )
    if probe.landlock < 6:
        found.append(f"Landlock {probe.landlock} of this kernel holds no signals: other processes of the user get them")
    return found


def apparmor_profile() -> str:
    """The profile that lets this interpreter make user namespaces where AppArmor restricts them (Ubuntu 24.04)."""
    return _PROFILE.format(interpreter=os.path.realpath(sys.executable))


def _strong_cure() -> str:
    if _says(_APPARMOR, "1"):
        return (
            "AppArmor restricts user namespaces. As root, write these lines to /etc/apparmor.d/modelwright and run "
            f"`apparmor_parser -r /etc/apparmor.d/modelwright`; they hold for whatever this interpreter runs:\n"
            f"{apparmor_profile()}"
        )
    if _says(_NAMESPACES, "0"):
        return "user namespaces are switched off; `sysctl user.max_user_namespaces=10000` as root switches them on"
    if _says(_CLONE, "0"):
        return "user namespaces are for root only; `sysctl kernel.unprivileged_userns_clone=1` as root opens them"
    return "it needs Linux 5.12 or newer and user namespaces; containers often forbid them, and the next tier is used"


def _standard_cure(probe: Probe) -> str:
    if probe.landlock < 1:
        return "it needs Landlock: Linux 5.13 or newer, with `landlock` in the kernel's `lsm=` list"
    return "it needs seccomp, and a processor whose system calls are known (x86-64, arm64)"


def _says(path: Path, text: str) -> bool:
    try:
        return path.read_text().strip() == text
    except OSError:
        return False
