"""The folder of a local ClickHouse and the paths in it."""

from pathlib import Path


class ServerFolder:
    """The paths in `<home>/clickhouse`; `local_clickhouse.local_server` explains the locks."""

    def __init__(self, home: Path) -> None:
        self.path = home.absolute() / "clickhouse"
        self.data = self.path / "data"
        self.functions = self.data / "user_defined"
        self.backups = self.path / "backups"
        self.config = self.path / "config.xml"
        self.users = self.path / "users.xml"
        self.credentials = self.path / "credentials.json"
        self.databases = self.path / "databases.txt"
        self.log = self.path / "server.log"
        # Native and HTTP port, which the server writes when it listens.
        self.address = self.path / "address.tsv"
        self.users_lock = self.path / "in-use.lock"
        self.setup_lock = self.path / "setup.lock"
        self.server_lock = self.path / "server.lock"

    def create(self) -> None:
        """Create the folders that do not exist yet, with mode 700.

        Raises:
            OSError: A file has the name of a folder, or the parent folder is not writable.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.path, self.data, self.functions, self.backups):
            folder.mkdir(mode=0o700, exist_ok=True)
