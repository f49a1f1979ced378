"""The two shapes of `./x bench` in eager PyTorch, for comparison: a Llama-like decoder, f32, AdamW, on the CPU.

Prints a JSON list of {batch, seq, parameters, tokens_per_sec}. Run by `./x bench` when ANNEAL_TORCH_PYTHON names a Python with torch.
"""

import json
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        hidden = 8 * d // 3  # as `anneal bench` has it
        self.norm1, self.norm2 = nn.RMSNorm(d), nn.RMSNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.gate, self.up = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
        self.down = nn.Linear(hidden, d, bias=False)

    def forward(self, x, cos, sin):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)

        def rotate(y):
            first, second = y.chunk(2, -1)
            return torch.cat((first * cos - second * sin, first * sin + second * cos), -1)

        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, d))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    def __init__(self, d, layers, heads, vocab, seq):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.blocks = nn.ModuleList(Block(d, heads) for _ in range(layers))
        self.norm, self.head = nn.RMSNorm(d), nn.Linear(d, vocab, bias=False)
        half = d // heads // 2
        angle = torch.outer(torch.arange(seq), 10000 ** (-torch.arange(half) / half))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


def measure(d, layers, heads, vocab, batch, seq, steps=20):
    torch.manual_seed(0)
    model = Decoder(d, layers, heads, vocab, seq)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    data = torch.randint(0, vocab, (batch, seq + 1))
    for step in range(steps + 3):
        if step == 3:  # the first steps allocate
            start = time.perf_counter()
        loss = F.cross_entropy(model(data[:, :-1]).flatten(0, 1), data[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    rate = steps * batch * seq / (time.perf_counter() - start)
    parameters = sum(p.numel() for p in model.parameters())
    return {"batch": batch, "seq": seq, "parameters": parameters, "tokens_per_sec": rate}


print(json.dumps([measure(256, 6, 8, 4096, 8, 128), measure(128, 4, 4, 4096, 32, 64)]))
