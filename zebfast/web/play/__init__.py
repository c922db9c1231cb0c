"""The table in the browser: whole games of people and computer players.

`table` is one game with its seats, `views` what one seat is shown of it, `store` keeps tables on
the disk, `thinking` has computer players think beside the server, `looks` are hints and reviews,
`room` has all tables go on, and `routes` is what browsers ask.
"""
