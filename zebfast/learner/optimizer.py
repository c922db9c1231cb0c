"""The optimizer, without the compiler that torch makes ready for it."""

from __future__ import annotations

import inspect

import torch
from torch.optim import AdamW


class EagerAdamW(AdamW):
    """torch's AdamW, to the bit, for programs that compile no network.

    torch wraps these methods so that ``torch.compile`` leaves them alone, and the wrappers import
    the compiler when they are first called: 2 to 3 seconds of every start of a learner. Here they
    are what is wrapped. A release of torch without wrappers changes nothing.
    """

    add_param_group = inspect.unwrap(AdamW.add_param_group)
    zero_grad = inspect.unwrap(AdamW.zero_grad)
    state_dict = inspect.unwrap(AdamW.state_dict)
    load_state_dict = inspect.unwrap(AdamW.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(AdamW.step))  # as torch's own wrapper has it
