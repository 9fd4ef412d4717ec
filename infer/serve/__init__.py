"""The app: a page on this machine that answers photographs, a JSON endpoint, and a game of people against the network.

Read `config` (the flags), `options` (what a request may ask), `photographs` (from a file or bytes to a `Prediction`), then the
parts that a visitor meets: `app` (the page, its API and its MCP server, by gradio), `locate` (one photograph in, JSON out) and
`game` (a person guesses the same photographs). `guard` stands before all of them, `uploads` clears what was handed in, and `server`
puts them together.
"""
