"""`portico import-telnyx`: copy an account of the hosted service."""

from typing import TYPE_CHECKING, Annotated

import typer

from portico.cli.installation import storage, with_database
from portico.cli.terminal import CommandRefused, printable
from portico.config.settings import load

if TYPE_CHECKING:  # slow to import
    from portico.db.engine import Database

HOSTED = "https://api.telnyx.com/v2"


def import_telnyx(
    api_key: Annotated[
        str, typer.Option(help="Of the hosted account; better in TELNYX_API_KEY.", envvar="TELNYX_API_KEY")
    ],
    base_url: Annotated[str, typer.Option(help="Where its API is.")] = HOSTED,
    account: Annotated[str, typer.Option(help="The account here.")] = "default",
) -> None:
    """Copy rooms, sessions, participants, recordings and compositions of a hosted account, with their ids.

    Works while the server runs. It may be stopped and be run again: what is there is left out.
    """
    if not base_url.startswith(("http://", "https://")):
        raise CommandRefused("--base-url is http(s)://HOST/v2.")

    async def run(db: "Database") -> list[str]:
        import aiohttp

        from portico.app.hosted_api import HostedApi, HostedApiRefuses
        from portico.app.import_telnyx import Import
        from portico.services import api_keys, clock
        from portico.storage.store import StorageUnavailable

        account_id = await db.write(lambda tx: api_keys.account_named(tx, account, clock.now(tx)))
        folder, store = load().data_dir, (await storage(db)).store
        try:
            async with aiohttp.ClientSession() as http:
                copying = Import(HostedApi(http, base_url, api_key, _show), db, store, account_id, folder, _show)
                await copying.run()
        except (HostedApiRefuses, StorageUnavailable) as error:
            raise CommandRefused(str(error)) from None
        return copying.left_out

    left_out = with_database(run, create=True)
    for sentence in left_out:
        print(f"left out: {printable(sentence)}")
    print("Done. Run it again for what is left out." if left_out else "Done.")


def _show(line: str) -> None:
    print(printable(line), flush=True)
