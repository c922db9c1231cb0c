"""Pages for people: a small server, and HTML, modules and pictures that need no other machine.

`guard` says who may ask, `app` puts pages together, `stream` tells browsers what changed, `server`
runs it all. `play/` is the table.
"""
