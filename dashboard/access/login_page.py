"""The page that asks for the token: one small document that loads nothing."""

import base64
from html import escape
from pathlib import Path
from urllib.parse import quote

from dashboard.access.oidc import DEFAULT, SignIn
from dashboard.palette import DARK, LIGHT, PRIMARY, PRIMARY_DARK

ENTER = "/thaw/enter"
SIGN_IN = "/thaw/signin"
SIGN_OUT = "/auth/logout"
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# The cookie of a session is not sent along with a link from another site; asking once more from
# here sends it.
AGAIN = '<meta http-equiv="refresh" content="0">'


def login_page(
    next_address: str,
    has_token: bool,
    is_made: bool,
    sign_in: SignIn | None,
    fault: str = "",
    stranger: str = "",
    asks_again: bool = False,
) -> str:
    """Returns the page as HTML.

    Args:
        next_address: where the person wanted to go.
        has_token: a token opens the dashboard.
        is_made: Thaw made it.
        sign_in: a provider can be asked, too.
        fault: what was wrong with what the person gave.
        stranger: address of somebody who signed in and may not come in.
        asks_again: load the page once more by itself.
    """
    parts = []
    if stranger:
        parts.append(
            f'<p class="fault" role="alert">You signed in as {escape(stranger)}, who may not come '
            f'in here. <a href="{SIGN_OUT}">Sign in as somebody else</a>, or ask who runs this '
            "Thaw.</p>"
        )
    elif fault:
        parts.append(f'<p class="fault" role="alert">{escape(fault)}</p>')
    if sign_in and not stranger:
        parts.append(_providers(sign_in))
    if has_token:
        parts.append(_form(next_address, is_made, bool(sign_in)))
    icon = base64.b64encode((Path(__file__).parent.parent / "icon.svg").read_bytes()).decode()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{AGAIN if asks_again else ''}<title>Thaw</title>"
        f'<link rel="icon" href="data:image/svg+xml;base64,{icon}"><style>{_style()}</style>'
        f'</head><body><main><h1><img alt="" src="data:image/svg+xml;base64,{icon}">Thaw</h1>'
        f"{''.join(parts)}</main></body></html>"
    )


def _form(next_address: str, is_made: bool, is_second: bool) -> str:
    where = (
        "It stands in the address that Thaw printed when it was started, and in the file "
        "<code>token</code> of its THAW_HOME."
        if is_made
        else "It is the one that Thaw was started with, by <code>--token-file</code> or THAW_TOKEN."
    )
    asked = "Or open it with its token." if is_second else "This Thaw opens with a token."
    return (
        f'<p>{asked}</p><form method="post" action="{ENTER}">'
        f'<input type="hidden" name="next" value="{escape(next_address)}">'
        '<label for="token">Token</label><input id="token" name="token" type="password" required '
        f'autocomplete="current-password"{"" if is_second else " autofocus"}>'
        f'<button>Open Thaw</button></form><p class="hint">{where} Ask who started it.</p>'
    )


def _providers(sign_in: SignIn) -> str:
    links = (
        f'<a class="button" href="{SIGN_IN}?provider={quote(name, safe="")}">Sign in'
        f"{'' if name == DEFAULT else f' with {escape(name.capitalize())}'}</a>"
        for name in sign_in.providers
    )
    return f"<p>Sign in to use this Thaw.</p>{''.join(links)}"


def _style() -> str:
    def colours(theme: dict[str, str], primary: str, fault: str) -> str:
        return (
            "".join(f"--{name}:{value};" for name, value in theme.items())
            + f"--primary:{primary};--fault:{fault};"
        )

    return (
        f":root{{color-scheme:light dark;{colours(LIGHT, PRIMARY, '#b3261e')}}}"
        f"@media(prefers-color-scheme:dark){{:root{{{colours(DARK, PRIMARY_DARK, '#ff9a8f')}}}}}"
        "*{box-sizing:border-box}"
        "body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;"
        "padding:1rem;background:var(--background);color:var(--text);"
        'font:16px/1.5 "Source Sans","Source Sans Pro",system-ui,sans-serif}'
        "main{width:100%;max-width:26rem;padding:2rem;border:1px solid var(--line);"
        "border-radius:.75rem;background:var(--panel)}"
        "h1{display:flex;gap:.6rem;align-items:center;margin:0 0 1rem;font-size:1.75rem}"
        "h1 img{width:2.25rem;height:2.25rem}p{margin:0 0 1rem}"
        "label{display:block;margin-bottom:.25rem;font-size:.875rem}"
        "input{width:100%;padding:.5rem .75rem;font:inherit;color:inherit;"
        "background:var(--background);border:1px solid var(--line);border-radius:.5rem}"
        "button,.button{display:block;width:100%;margin:1rem 0;padding:.5rem .75rem;font:inherit;"
        "text-align:center;text-decoration:none;color:#fff;background:#0b7285;border:0;"
        "border-radius:.5rem;cursor:pointer}button:hover,.button:hover{filter:brightness(1.1)}"
        ":focus-visible{outline:2px solid var(--primary);outline-offset:2px}"
        "a:not(.button){color:var(--primary)}"
        ".hint{margin:0;font-size:.875rem;opacity:.85}.fault{color:var(--fault);font-weight:600}"
    )
