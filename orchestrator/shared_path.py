"""Which folders lie on a file system that other machines share."""

import os
from pathlib import Path

NETWORK_TYPES = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs",
    "fuse.mount-s3", "fuse.rclone", "fuse.s3fs", "fuse.sshfs",
    "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "orangefs", "panfs", "smb3", "smbfs", "virtiofs", "wekafs",
}  # fmt: skip
MOUNTS = Path("/proc/self/mountinfo")


def network_type(folder: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the network file system that holds a folder; empty where the disk is this machine's own."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return ""
    here, found, longest = Path(os.path.realpath(folder)), "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        mounted_at = before.split()[4].encode().decode("unicode_escape")  # blanks are \040
        if len(mounted_at) >= longest and here.is_relative_to(mounted_at):
            longest, found = len(mounted_at), after.split()[0]
    return found if found in NETWORK_TYPES else ""
