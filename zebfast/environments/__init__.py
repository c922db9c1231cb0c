"""The games as environments of other libraries: PettingZoo, Gymnasium, OpenSpiel.

`pettingzoo`, `gymnasium` and `openspiel` need their library, which an extra of the same name
brings: `pip install 'zebfast[pettingzoo]'`. Import them by their whole names.
"""
