"""Networks: the published transformer, its tokens, safe checkpoints, the batched leaf evaluator.

Reading order: `v1` (the module), `packing` and `encoding` (records to tokens and back), `weights`
and `checkpoint` (what a file may hold), `linear`, `tables`, `forward`, `evaluator` (the fast way
to evaluate a batch). First room that imports torch.
"""
