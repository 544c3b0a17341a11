"""`portico migrate-store`: copy the installation to PostgreSQL, and its files to another store."""

import asyncio
from typing import Annotated
from urllib.parse import urlsplit

import typer

from portico.cli.installation import lock_data_dir
from portico.cli.terminal import CommandRefused
from portico.config.settings import Settings, load


def migrate_store(
    context: typer.Context,
    to: Annotated[
        str, typer.Option(help="postgresql://USER@HOST/NAME of an empty database.", envvar="TARGET_DATABASE_URL")
    ],
    storage: Annotated[str | None, typer.Option(help="s3://BUCKET/PREFIX for the files, too.")] = None,
) -> None:
    """Copy the installation to another database and store, and check what was copied. The server has to be stopped.

    It may be stopped, and be run again: it goes on. The installation that is copied stays as it is.
    """
    source = load()
    password = urlsplit(to).password
    if password is not None and str(context.get_parameter_source("to")).endswith("COMMANDLINE"):
        raise CommandRefused("A password in --to would be shown in the process list: set TARGET_DATABASE_URL instead.")
    chosen = {"database_url": to.replace(f":{password}@", "@", 1), "storage_url": storage or source.storage_url}
    target = load(**chosen).model_copy(update={"database_url": to})
    if not target.database.startswith("postgres"):
        raise CommandRefused("--to is postgresql://USER@HOST/NAME: other databases are for one machine.")
    if target.database == source.database:
        raise CommandRefused("--to is the database in use: name another one.")
    if source.sqlite_file is not None and not source.sqlite_file.exists():
        raise CommandRefused(f"There is no {source.sqlite_file}: set PORTICO_DATA_DIR to that of the installation.")
    with lock_data_dir(source):
        asyncio.run(_copy(source, target, with_files=storage is not None and storage != source.storage_url))
    changed = [f"PORTICO_DATABASE_URL={'(as --to)' if '@' in to else to}"]
    changed += [f"PORTICO_STORAGE_URL={storage}"] if storage else []
    print(f"Done. Start the server with {' and '.join(changed)}.")


async def _copy(source: Settings, target: Settings, *, with_files: bool) -> None:
    from portico.app.migrate_store import NotCopied, copy_files, copy_rows
    from portico.app.workers import store_of
    from portico.db.connect import open_database
    from portico.db.migrate import upgrade
    from portico.services import copying
    from portico.storage.store import StorageUnavailable

    def show(line: str) -> None:
        print(line, flush=True)

    old, new = open_database(source.database), open_database(target.database)
    try:
        for db in (old, new):
            await asyncio.to_thread(upgrade, db.engine)
        await copy_rows(old, new, show)
        if with_files:
            stores = store_of(source, bytes), store_of(target, bytes)
            await copy_files(old, *stores, source.data_dir, show)
        if waiting := await old.read(copying.unconverted):
            show(f"{waiting} recordings are not converted yet: the server with {source.data_dir} does it when it runs.")
    except (NotCopied, StorageUnavailable) as error:
        raise CommandRefused(str(error)) from None
    finally:
        await old.close()
        await new.close()
