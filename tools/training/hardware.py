"""What the machine's arithmetic is."""

from __future__ import annotations

import torch


def has_bf16() -> bool:
    """Whether products in bfloat16 are faster than in float32 here; where they are emulated they are not."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpu = torch.cpu.get_capabilities()
    return any(cpu.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
