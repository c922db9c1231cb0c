#!/usr/bin/env bash
# Sphinx 9.0.4, sphinx.ext.napoleon: a property's summary with a colon is cut in two, and its first
# half is printed as a type, even if the property is annotated.
#
# Guess: "Dominoes dealt: in ascending order." is a sentence and stays one. napoleon's examples do show
# the form """str: Text.""" for a property, but here the getter's annotation says the type already,
# and "Dominoes dealt" is no type. The property reads as a method with the same docstring does.
#
# Behaviour: what stands before a colon in the first line becomes the type, whatever it is. The summary
# is left without its first half and the property with two types, with no warning unless nitpicky is
# set. Switching off either of the two styles of docstring, Google's or NumPy's, does not help.
#
# Seen (Sphinx 9.0.4, Python 3.11.7), the same for both styles:
#   class hand.Hand
#      dealt() -> list[int]
#         Dominoes dealt: in ascending order.
#      property tiles: list[int]
#         in ascending order.
#         Type:
#            Dominoes dealt
#
# Exits with 1 if the property's sentence stays whole, or the method's does not.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
python3 -m venv venv
venv/bin/pip install --quiet sphinx==9.0.4

mkdir docs
cat >hand.py <<'PYTHON'
class Hand:
    def dealt(self) -> list[int]:
        """Dominoes dealt: in ascending order."""
        return []

    @property
    def tiles(self) -> list[int]:
        """Dominoes dealt: in ascending order."""
        return []
PYTHON
cat >docs/conf.py <<'PYTHON'
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
PYTHON
cat >docs/index.rst <<'RST'
.. autoclass:: hand.Hand
   :members:
   :undoc-members:
RST

expected="dealt() -> list[int] Dominoes dealt: in ascending order."
expected+=" property tiles: list[int] in ascending order. Type: Dominoes dealt"
changed=0
for other in numpy google; do
    PYTHONPATH=. venv/bin/python -m sphinx -q -W -E -b text \
        -D "napoleon_${other}_docstring=0" docs "out-$other"
    echo "with napoleon_${other}_docstring = False:"
    grep -v '^$' "out-$other/index.txt"
    page=$(tr -s ' \n' ' ' <"out-$other/index.txt")
    case $page in
        *"$expected"*) ;;
        *) changed=1 ;;
    esac
done
if [ "$changed" -ne 0 ]; then
    echo "changed: the page reads otherwise than described above" >&2
    exit 1
fi
