"""`python -m zebfast.worker.eval_aux` is `zebfast worker --mode eval-aux`."""

from __future__ import annotations

from zebfast.cli.worker import main_eval_aux

if __name__ == "__main__":
    main_eval_aux()
