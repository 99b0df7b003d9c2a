"""A small OpenID Connect provider on this machine, that lets in whoever it is told to."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID, CLIENT_SECRET = "thaw", "a-secret-of-the-provider"


class Provider:
    """Signs everybody in at once, as `person`; `url` is its address."""

    def __init__(self, person: dict[str, Any]):
        """Starts it on a port of its own; needs joserfc, which comes with Authlib."""
        from joserfc.jwk import RSAKey

        self.person = person
        self._key = RSAKey.generate_key(2048, parameters={"kid": "one"})
        self._nonces: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()

    def secrets(self, dashboard: str) -> str:
        """Returns what secrets.toml holds of it, for a dashboard at this address."""
        return (
            f'[auth]\nredirect_uri = "{dashboard}/oauth2callback"\n'
            'cookie_secret = "a-long-text-that-nobody-guesses-0123456789"\n'
            f'client_id = "{CLIENT_ID}"\nclient_secret = "{CLIENT_SECRET}"\n'
            f'server_metadata_url = "{self.url}/.well-known/openid-configuration"\n'
        )

    def _answer(self, path: str, asked: dict[str, str]) -> dict[str, Any]:
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        if path == "/keys":
            return {"keys": [self._key.as_dict(private=False, use="sig", alg="RS256")]}
        return {
            "access_token": "an-access-token",
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": self._id_token(self._nonces[asked["code"]]),
        }

    def _id_token(self, nonce: str) -> str:
        from joserfc import jwt

        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 3600,
            "nonce": nonce,
            **self.person,
        }
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                if parts.path != "/authorize":
                    self._send(provider._answer(parts.path, asked))
                    return
                code = f"code-{len(provider._nonces)}"
                provider._nonces[code] = asked.get("nonce", "")
                back = urlencode({"code": code, "state": asked["state"]})
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                asked = {name: values[0] for name, values in parse_qs(body).items()}
                self._send(provider._answer(urlsplit(self.path).path, asked))

            def _send(self, document: dict[str, Any]) -> None:
                content = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                """Prints nothing."""

        return Handler
