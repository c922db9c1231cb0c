#!/usr/bin/env bash
# torch 2.13.0: under torchrun --nnodes 1:2, a node that comes to one that stayed cannot join.
#
# Guess: with an elastic number of nodes, "--nnodes 1:2 --rdzv-backend c10d", the agent that is there
# stops its workers when another node comes, both meet in a new round, and workers start in a world of
# two. That is what elastic means in its documentation.
#
# Behaviour: the agent that stays has rank 0 in the new round, and keeps the address of its store from
# its first round (DynamicRendezvousHandler._bootstrap_store_info is made once), without publishing it
# under the new round's prefix. The node that comes waits there for MASTER_ADDR, the one that stayed
# for the newcomer's role_info; after 60 s both agents end with a DistStoreError, whatever
# --max-restarts says. The other way round, where the newcomer gets rank 0, works.
# TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 makes and publishes the address in every round, and helps.
#
# Seen (torch 2.13.0+cpu, Python 3.11.7; the second line takes a minute):
#   the switch set       2 nodes of 2 ended with exit code 0: a world of 2
#   as it comes          0 nodes of 2 ended with exit code 0: DistStoreError, MASTER_ADDR
#
# Exits with 1 if one of these changes. torch is large to download.
set -euo pipefail

scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$scratch"' EXIT
cd "$scratch"
python3 -m venv venv
venv/bin/pip install --quiet torch==2.13.0 numpy

cat >work.py <<'PYTHON'
import os, time
print("a world of", os.environ["WORLD_SIZE"], flush=True)
if os.environ["WORLD_SIZE"] == "1":
    time.sleep(600)  # until the other node comes
PYTHON

# Two agents of this machine stand for two nodes. The second comes when the first one works alone.
node() {
    venv/bin/python -m torch.distributed.run --nnodes 1:2 --nproc-per-node 1 --max-restarts 10 \
        --rdzv-backend c10d --rdzv-id "$1" --rdzv-endpoint "127.0.0.1:$2" --local-addr 127.0.0.1 \
        --rdzv-conf "is_host=$3,last_call_timeout=2" --monitor-interval 0.5 work.py
}

play() {  # NAME PORT
    : >"$1.first"
    node "$1" "$2" 1 >>"$1.first" 2>&1 & local first=$!
    until grep -q "a world of 1" "$1.first"; do
        kill -0 "$first" || { cat "$1.first"; exit 1; }
        sleep 0.2
    done
    node "$1" "$2" 0 >"$1.second" 2>&1 & local second=$!
    local good=0
    if wait "$first"; then good=$((good + 1)); fi
    if wait "$second"; then good=$((good + 1)); fi
    local seen
    seen=$(grep -ohE "a world of 2|DistStoreError.*" "$1.second" | tail -1 |
        sed -E 's/(DistStoreError).*(MASTER_ADDR).*/\1, \2/')
    printf '%-20s %s nodes of 2 ended with exit code 0: %s\n' "$3" "$good" "$seen" | tee -a seen
}

TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 play apart 29611 "the switch set"
play shared 29612 "as it comes"

cat >expected <<'TEXT'
the switch set       2 nodes of 2 ended with exit code 0: a world of 2
as it comes          0 nodes of 2 ended with exit code 0: DistStoreError, MASTER_ADDR
TEXT
diff expected seen && echo "as described"
