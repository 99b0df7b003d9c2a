"""Who may come in: a token, or whom an OpenID Connect provider knows."""
