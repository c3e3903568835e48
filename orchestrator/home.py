"""ORCHESTRATE_HOME: where sweeps, decoded images, phantoms and the embedded MLflow store live."""

import os
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.errors import BadInput, unknown_name

MIN_FREE_MIB = 500
SWEEP_ID = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True)
class Home:
    """Paths below one home folder; nothing else in the project composes them."""

    root: Path

    @property
    def sweeps(self) -> Path:
        """Hold one folder per sweep."""
        return self.root / "sweeps"

    @property
    def cache(self) -> Path:
        """Hold decoded images."""
        return self.root / "cache"

    @property
    def phantoms(self) -> Path:
        """Hold generated phantom data sets."""
        return self.root / "phantoms"

    @property
    def tasks(self) -> Path:
        """Hold the user's own tasks, a file each."""
        return self.root / "tasks"

    @property
    def mlflow(self) -> Path:
        """Hold the embedded MLflow store: database and artifacts."""
        return self.root / "mlflow"

    @property
    def data_checks(self) -> Path:
        """Hold the pages that `data check` writes."""
        return self.root / "data_checks"

    @property
    def test_ledger(self) -> Path:
        """Hold one line per read of test data."""
        return self.root / "test_reads.jsonl"

    @property
    def trainings(self) -> Path:
        """Hold one folder per training in the foreground."""
        return self.root / "trainings"

    @property
    def submitted(self) -> Path:
        """Hold what is known of sweeps that were submitted to clusters, two files each."""
        return self.root / "submitted"

    def require_shape(self) -> None:
        """Raise BadInput where a file is in the place of one of the folders, or a folder in that of the ledger."""
        for path in (
            *(self.sweeps, self.cache, self.phantoms, self.tasks),
            *(self.mlflow, self.data_checks, self.trainings),
        ):
            if (path.exists() or path.is_symlink()) and not path.is_dir():
                raise BadInput(f"ORCHESTRATE_HOME={self.root}: {path.name} in it is no folder; move it away")
        if self.test_ledger.is_dir():
            raise BadInput(f"ORCHESTRATE_HOME={self.root}: {self.test_ledger.name} in it is a folder; move it away")

    def new_sweep(self, name: str, sweep_id: str | None = None, storage: Path | None = None) -> Path:
        """Create the folder of a new sweep; its name is the sweep's id, unique even for two starts in one second.

        It is in `storage` where that is given, and known here by a link. Raises BadInput for a given id that is taken.
        """
        folder = (storage or self.sweeps) / (sweep_id or _unique(name))
        try:
            if sweep_id is not None:
                self.check_new_sweep(sweep_id)
            folder.mkdir(parents=True)
            if storage is not None:
                self.link_sweep(folder)
        except FileExistsError:
            raise _taken(sweep_id) from None
        return folder

    def link_sweep(self, folder: Path) -> None:
        """Let a sweep be known here whose folder is elsewhere. Raises FileExistsError for another one of its id."""
        link = self.sweeps / folder.name
        self.sweeps.mkdir(parents=True, exist_ok=True)
        self.forget_sweep(folder.name)
        if not (link.is_symlink() and link.resolve() == folder.resolve()):
            link.symlink_to(folder.absolute(), target_is_directory=True)

    def adopt_sweep(self, sweep_id: str, storage: Path) -> None:
        """Know a sweep here that another machine began in a storage. Raises BadInput for another one of its id."""
        check_sweep_id(sweep_id)
        folder = storage / sweep_id
        if not folder.is_dir():
            return
        try:
            self.link_sweep(folder)
        except FileExistsError:
            there = self.sweeps / sweep_id
            raise BadInput(
                f"--storage {storage}: has a sweep {sweep_id}, and so has {there}; name another id"
            ) from None

    def forget_sweep(self, sweep_id: str) -> None:
        """Remove the link to a sweep whose folder, elsewhere, is gone."""
        link = self.sweeps / sweep_id
        if link.is_symlink() and not link.exists():
            link.unlink()

    def check_new_sweep(self, sweep_id: str) -> None:
        """Raise BadInput for an id that is no plain name, or that a sweep has already."""
        check_sweep_id(sweep_id)
        if (self.sweeps / sweep_id).exists():
            raise _taken(sweep_id)

    def sweep_folder(self, sweep_id: str) -> Path:
        """Return the folder of a sweep by its id. Raises BadInput for an unknown one, or one that is away."""
        folder = self.sweeps / sweep_id
        journal = folder / "journal.jsonl"
        if SWEEP_ID.fullmatch(sweep_id) and journal.exists() and not journal.is_file():
            raise BadInput(f"{journal}: is no file; put back the journal of the sweep, or move its folder away")
        if SWEEP_ID.fullmatch(sweep_id) and folder.is_symlink() and not folder.exists():
            raise BadInput(
                f"{sweep_id}: its folder {folder.readlink()} is not there; mount its disk again, or remove {folder}, "
                "the link to it, where the sweep is gone for good"
            )
        if not SWEEP_ID.fullmatch(sweep_id) or not journal.is_file():
            raise BadInput(unknown_name("sweep", sweep_id, [known.name for known in self.sweep_folders()]))
        return folder.resolve() if folder.is_symlink() else folder  # nodes know the place itself

    def training_folder(self, name: str) -> Path:
        """Return where one training in the foreground goes; names may hold slashes."""
        return self.trainings / _unique(name.replace("/", "-"))

    def sweep_folders(self) -> list[Path]:
        """Return every sweep that has a journal, oldest first."""
        folders = [journal.parent for journal in self.sweeps.glob("*/journal.jsonl")]
        return sorted(folders, key=lambda folder: folder.stat().st_ctime)


def _taken(sweep_id: str | None) -> BadInput:
    return BadInput(f"--id {sweep_id}: there is a sweep of that id; resume it, or choose another")


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_name_of_sweeps(name: str) -> bool:
    """Tell whether a name can stand at the beginning of sweep ids, with the time after it."""
    return SWEEP_ID.fullmatch(_unique(name)) is not None


def _unique(name: str) -> str:
    return f"{name}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def new_sweep_id(name: str) -> str:
    """Return the id of a sweep that is started elsewhere, as `Home.new_sweep` would make it."""
    return _unique(name)


def check_sweep_id(sweep_id: str | None) -> None:
    """Raise BadInput for an id that is no plain name."""
    if sweep_id is not None and not SWEEP_ID.fullmatch(sweep_id):
        raise BadInput(f"--id {sweep_id}: expected up to 100 letters, digits, points, dashes and underscores")


def open_home(root: Path) -> Home:
    """Create the home folder where needed and prove that it can be written.

    Raises BadInput when it cannot, or when less than MIN_FREE_MIB is free: said before anything starts.
    """
    root = root.absolute()
    if not _is_text(root):  # files of a sweep name it, and they are UTF-8
        raise BadInput(f"ORCHESTRATE_HOME={root}: its name is no UTF-8 text; name another folder")
    odd = set("?#%") & set(str(root))
    if odd:  # they mean something in the URI of the embedded store
        raise BadInput(f"ORCHESTRATE_HOME={root}: must not hold {' or '.join(sorted(odd))}; name another folder")
    probe = root / f".probe-{os.getpid()}-{secrets.token_hex(2)}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
        free_mib = shutil.disk_usage(root).free // 2**20
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(
            f"ORCHESTRATE_HOME={root}: cannot be written ({reason}); set ORCHESTRATE_HOME to a folder that can"
        ) from error
    if free_mib < MIN_FREE_MIB:
        raise BadInput(
            f"ORCHESTRATE_HOME={root}: {free_mib} MiB free, a sweep needs at least {MIN_FREE_MIB} MiB; "
            "free some space or set ORCHESTRATE_HOME to another disk"
        )
    home = Home(root)
    home.require_shape()
    return home
