"""The shapes of `./x bench` and `anneal bench` in PyTorch, for comparison: f32 on the CPU, or any precision on a GPU.

Without arguments: the two shapes of `./x bench`, eager, as a JSON list of {batch, seq, parameters, tokens_per_sec}; this is
what `./x bench` runs when ANNEAL_TORCH_PYTHON names a Python with torch. With `--model gpt2` or `llama-30m` one shape, as
one JSON object; `--device cuda --dtype bf16 --compile` is what figures on GPUs are held against.
"""

import argparse
import contextlib
import json
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Pre-norm; Llama's parts, or with `gpt2` LayerNorm, biases and an ungated GELU."""

    def __init__(self, d, heads, hidden, gpt2):
        super().__init__()
        self.heads, self.gpt2 = heads, gpt2
        norm = nn.LayerNorm if gpt2 else nn.RMSNorm
        self.norm1, self.norm2 = norm(d), norm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d, bias=gpt2), nn.Linear(d, d, bias=gpt2)
        self.gate = None if gpt2 else nn.Linear(d, hidden, bias=False)
        self.up, self.down = nn.Linear(d, hidden, bias=gpt2), nn.Linear(hidden, d, bias=gpt2)

    def forward(self, x, cos, sin):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)

        def rotate(y):
            if self.gpt2:
                return y
            first, second = y.chunk(2, -1)
            return torch.cat((first * cos - second * sin, first * sin + second * cos), -1).to(y.dtype)

        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, d))
        y = self.norm2(x)
        if self.gpt2:
            return x + self.down(F.gelu(self.up(y), approximate="tanh"))
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    def __init__(self, d, layers, heads, vocab, seq, hidden=None, gpt2=False, tied=False):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.places = nn.Embedding(seq, d) if gpt2 else None
        hidden = hidden or 8 * d // 3  # as `anneal bench` has it
        self.blocks = nn.ModuleList(Block(d, heads, hidden, gpt2) for _ in range(layers))
        self.norm = nn.LayerNorm(d) if gpt2 else nn.RMSNorm(d)
        self.head = nn.Linear(d, vocab, bias=False)
        if tied:
            self.head.weight = self.embed.weight
        half = d // heads // 2
        angle = torch.outer(torch.arange(seq), 10000 ** (-torch.arange(half) / half))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, ids, targets):
        x = self.embed(ids)
        if self.places is not None:
            x = x + self.places.weight
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return F.cross_entropy(self.head(self.norm(x)).float().flatten(0, 1), targets.flatten())


def measure(model, vocab, batch, seq, steps=20, device="cpu", dtype="f32", compiled=False, warm_up=3):
    torch.manual_seed(0)
    model = model.to(device)
    gpu = device != "cpu"
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=gpu)
    data = torch.randint(0, vocab, (batch, seq + 1), device=device)
    parameters = sum(p.numel() for p in model.parameters())
    forward = torch.compile(model) if compiled else model
    half = {"f32": None, "f16": torch.float16, "bf16": torch.bfloat16}[dtype]
    scaler = torch.amp.GradScaler(device, enabled=dtype == "f16")
    for step in range(steps + warm_up):
        if step == warm_up:  # the first steps allocate, and compile
            if gpu:
                torch.cuda.synchronize()
            start = time.perf_counter()
        with torch.autocast(device, half) if half else contextlib.nullcontext():
            loss = forward(data[:, :-1], data[:, 1:])
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    if gpu:
        torch.cuda.synchronize()
    found = {"batch": batch, "seq": seq, "parameters": parameters}
    found["tokens_per_sec"] = steps * batch * seq / (time.perf_counter() - start)
    if gpu:
        found |= {"dtype": dtype, "compiled": compiled, "device_memory_bytes": torch.cuda.max_memory_reserved()}
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=["gpt2", "llama-30m"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seq", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["f32", "f16", "bf16"], default="f32")
    parser.add_argument("--compile", action="store_true")
    a = parser.parse_args()
    if a.model is None:
        small = [(256, 6, 8, 4096, 8, 128), (128, 4, 4, 4096, 32, 64)]
        print(json.dumps([measure(Decoder(d, l, h, v, t), v, b, t) for d, l, h, v, b, t in small]))
        return
    if a.model == "gpt2":
        vocab, model = 50304, Decoder(768, 12, 12, 50304, a.seq, 3072, gpt2=True, tied=True)
    else:
        vocab, model = 8192, Decoder(512, 8, 8, 8192, a.seq, 1408, tied=True)
    torch.set_float32_matmul_precision("high")
    print(json.dumps(measure(model, vocab, a.batch, a.seq, a.steps, a.device, a.dtype, a.compile)))


main()
