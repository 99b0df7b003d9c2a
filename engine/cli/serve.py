"""`thaw serve`: the dashboard."""

import os
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.app import app

PortOption = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]
HostOption = Annotated[
    str,
    typer.Option(help="Address to listen on; others reach anything but 127.0.0.1, with a token."),
]
RootOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        help="Folder below which pages may read images; can be given several times. Where Thaw is "
        "started, if none.",
        exists=True,
        file_okay=False,
    ),
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File with the token that opens the dashboard; THAW_TOKEN does the same. Without "
        "either, one is made where others can reach the address.",
        exists=True,
        dir_okay=False,
    ),
]


def _serve(port: int, host: str, roots: list[Path] | None, token_file: Path | None) -> None:
    from dashboard.roots import VARIABLE
    from dashboard.server import serve as serve_dashboard

    if roots:
        os.environ[VARIABLE] = os.pathsep.join(str(root.absolute()) for root in roots)
    serve_dashboard(host, port, token_file)


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    port: PortOption = 8501,
    host: HostOption = "127.0.0.1",
    root: RootOption = None,
    token_file: TokenOption = None,
) -> None:
    """How should this pre-trained model be updated with my images?

    Without a command, opens the dashboard. Example: `thaw`
    """
    if context.invoked_subcommand is None:
        _serve(port, host, root, token_file)


@app.command()
def serve(
    port: PortOption = 8501,
    host: HostOption = "127.0.0.1",
    root: RootOption = None,
    token_file: TokenOption = None,
) -> None:
    """Open the dashboard in the browser.

    Pages read images below the folder it is started in, or those that --root names, and Thaw's own
    data sets; commands read any. An address that others can reach asks for a token, which is
    printed, or lets people sign in.

    Example: `thaw serve --port 8600 --root ~/photos`
    """
    _serve(port, host, root, token_file)
