"""The app: a page on this machine that answers photographs, a JSON endpoint, and a game of people against the network.

Read `config` (the flags), `photographs` (from a file or bytes to a `Prediction`, and what a request may ask), then the parts
that a visitor meets: `app` (the page, its API and its MCP server, by gradio; `asked` reads its form, `answers` writes its
files), `locate` (one photograph in, JSON out) and `game` (a person guesses the same photographs). `guard` stands before all of
them, `uploads` clears what was handed in, `start` checks what can be checked at once, and `server` puts them together.
"""
