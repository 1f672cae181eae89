"""The user that PostgreSQL runs as. It refuses root, and `initdb` refuses a user without a name.

- An ordinary user: as that user.
- Root: in a user namespace, where the same files are owned by an ordinary id.
- Root where namespaces are denied (a chroot, most containers): as `nobody`, who then owns the files.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.embedded.errors import EmbeddedError

NOBODY = 65534
STATE = Path("/var/lib")


@dataclass(frozen=True)
class Identity:
    """How programs are run: with a command prefix, as another user, or neither."""

    prefix: tuple[str, ...] = ()
    user: int | None = None

    def command(self, argv: Sequence[str]) -> list[str]:
        """The argument vector to execute."""
        return [*self.prefix, *argv]

    def runs(self, *argv: str | Path, env: Mapping[str, str] | None = None) -> bool:
        """Whether that command works under this identity."""
        try:
            done = subprocess.run(
                self.command([str(word) for word in argv]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=env,
                timeout=30,
                check=False,
                user=self.user,
                group=self.user,
                extra_groups=self.groups,
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0

    @property
    def groups(self) -> tuple[int, ...] | None:
        """Supplementary groups: none for another user, unchanged (None) otherwise."""
        return None if self.user is None else ()

    def own(self, folder: Path) -> None:
        """Make the server's user the owner of `folder` and everything in it."""
        owner = os.geteuid() if self.user is None else self.user
        if os.geteuid() != 0 or folder.stat().st_uid == owner:
            return
        for root, folders, files in os.walk(folder):
            for name in [*folders, *files]:
                os.chown(Path(root) / name, owner, owner, follow_symlinks=False)
        os.chown(folder, owner, owner)  # last, so that an interrupted change is repeated


def choose_identity(program: Path, home: Path) -> Identity:
    """The identity for `program` (a PostgreSQL binary) with its data in `home`.

    Raises:
        EmbeddedError: this user has no name, and namespaces are denied.
    """
    names = {entry.pw_uid for entry in pwd.getpwall()}
    own = os.geteuid()
    if own != 0 and own in names:
        return Identity()
    if shutil.which("unshare"):
        mapped = NOBODY if NOBODY in names else next(iter(sorted(names - {0})), NOBODY)
        namespace = Identity(prefix=("unshare", "-U", f"--map-user={mapped}", "--"))
        # In a namespace root has no privileges over the files of other users.
        if namespace.runs(program, "--version") and namespace.runs("test", "-w", home):
            return namespace
    if own == 0:
        return Identity(user=NOBODY if NOBODY in names else max(names))
    raise EmbeddedError(
        f"PostgreSQL does not start for user id {own}, which has no entry in /etc/passwd: "
        "add one, or set DATABASE_URL to a server of your own"
    )


def reachable(path: Path) -> bool:
    """Whether every user may enter all parent folders of `path`."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def cluster_folder(identity: Identity, home: Path) -> Path:
    """The folder of the server's files: in `home`, or, where `nobody` cannot reach that, under /var/lib.

    `home` then has a link to it.
    """
    inside = home / "cluster"
    if identity.user is None or inside.is_symlink() or reachable(inside):
        base = inside.resolve()
    else:
        digest = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
        base = STATE / f"instep-{digest}"
        if inside.is_dir():
            shutil.move(inside, base)
        inside.symlink_to(base)
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    return base
