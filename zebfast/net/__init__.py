"""Networks: the published transformer and the compact v2, checkpoints, the batched leaf evaluator.

Reading order: `output` (what a network says), `packing` and `encoding` (records to v1 tokens and
back), `v1`, `features` (records to v2 bits), `v2`, `networks` (either, by its tokenizer),
`checkpoint` (what a file may hold), `shipped` (the file that comes along); then the fast way to
evaluate a batch: `linear`, `v1_fast` and `v2_fast`, `folded`,
`evaluator` and what it uses on a GPU.
First room that imports torch.
"""
