"""`thaw serve`: the dashboard."""

from typing import Annotated

import typer

from engine.cli.app import app

PortOption = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]
HostOption = Annotated[
    str, typer.Option(help="Address to listen on; anything but 127.0.0.1 is open to others.")
]


def _serve(port: int, host: str) -> None:
    from dashboard.server import serve as serve_dashboard

    serve_dashboard(host, port)


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context, port: PortOption = 8501, host: HostOption = "127.0.0.1"
) -> None:
    """How should this pre-trained model be updated with my images?

    Without a command, opens the dashboard. Example: `thaw`
    """
    if context.invoked_subcommand is None:
        _serve(port, host)


@app.command()
def serve(port: PortOption = 8501, host: HostOption = "127.0.0.1") -> None:
    """Open the dashboard in the browser.

    Example: `thaw serve --port 8600`
    """
    _serve(port, host)
