"""The dashboard: how runs stand, from the files that they write anyway; it changes nothing.

`run` looks at one experiment again and again, `watching` at all that somebody watches, `report`
puts a look into plain values, `routes` says what can be asked, `serve` starts it.
"""
