"""The shapes of `./x bench` and `anneal bench` in PyTorch, for comparison: f32 on the CPU, or any precision on a GPU.

Without arguments: the two shapes of `./x bench`, eager, as a JSON list of {batch, seq, parameters, tokens_per_sec}; this is
what `./x bench` runs when ANNEAL_TORCH_PYTHON names a Python with torch. With `--model gpt2`, `llama-30m` or `smollm2` one
shape, as one JSON object; `--device cuda --dtype bf16 --compile` is what figures on GPUs are held against, `--lora 16` what
`anneal bench train --lora 16` is: frozen weights, adapters with dropout beside every matrix (one for query, key and value).
"""

import argparse
import contextlib
import json
import time

import torch
from torch import nn
from torch.nn import functional as F


class Adapted(nn.Module):
    """A frozen linear layer and its adapter, computed as `peft` does."""

    def __init__(self, base, rank):
        super().__init__()
        self.base = base
        self.a = nn.Linear(base.in_features, rank, bias=False)
        self.b = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.b.weight)
        self.dropout = nn.Dropout(0.05)

    def forward(self, x):
        return self.base(x) + 2.0 * self.b(self.a(self.dropout(x)))


class Block(nn.Module):
    """Pre-norm; Llama's parts, or with `gpt2` LayerNorm, biases and an ungated GELU."""

    def __init__(self, d, heads, hidden, gpt2, kv_heads):
        super().__init__()
        self.heads, self.gpt2, self.kv_heads = heads, gpt2, kv_heads
        norm = nn.LayerNorm if gpt2 else nn.RMSNorm
        self.norm1, self.norm2 = norm(d), norm(d)
        self.qkv, self.out = nn.Linear(d, d + 2 * d // heads * kv_heads, bias=gpt2), nn.Linear(d, d, bias=gpt2)
        self.gate = None if gpt2 else nn.Linear(d, hidden, bias=False)
        self.up, self.down = nn.Linear(d, hidden, bias=gpt2), nn.Linear(hidden, d, bias=gpt2)

    def forward(self, x, cos, sin):
        b, t, d = x.shape
        split = [self.heads, self.kv_heads, self.kv_heads]
        q, k, v = self.qkv(self.norm1(x)).view(b, t, -1, d // self.heads).transpose(1, 2).split(split, 1)

        def rotate(y):
            if self.gpt2:
                return y
            first, second = y.chunk(2, -1)
            return torch.cat((first * cos - second * sin, first * sin + second * cos), -1).to(y.dtype)

        shared = self.kv_heads != self.heads
        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True, enable_gqa=shared)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, d))
        y = self.norm2(x)
        if self.gpt2:
            return x + self.down(F.gelu(self.up(y), approximate="tanh"))
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    def __init__(self, d, layers, heads, vocab, seq, hidden=None, gpt2=False, tied=False, kv_heads=None):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.places = nn.Embedding(seq, d) if gpt2 else None
        hidden = hidden or 8 * d // 3  # as `anneal bench` has it
        self.blocks = nn.ModuleList(Block(d, heads, hidden, gpt2, kv_heads or heads) for _ in range(layers))
        self.norm = nn.LayerNorm(d) if gpt2 else nn.RMSNorm(d)
        self.head = nn.Linear(d, vocab, bias=False)
        if tied:
            self.head.weight = self.embed.weight
        half = d // heads // 2
        angle = torch.outer(torch.arange(seq), 10000 ** (-torch.arange(half) / half))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def adapt(self, rank):
        self.requires_grad_(False)
        for block in self.blocks:
            for name in ["qkv", "out", "gate", "up", "down"]:
                if getattr(block, name) is not None:
                    setattr(block, name, Adapted(getattr(block, name), rank))

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
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-4, fused=gpu)
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
        nn.utils.clip_grad_norm_(trained, 1.0)
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
    parser.add_argument("--model", choices=["gpt2", "llama-30m", "smollm2"])
    parser.add_argument("--lora", type=int, metavar="RANK")
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
    elif a.model == "smollm2":
        vocab, model = 49152, Decoder(576, 30, 9, 49152, a.seq, 1536, tied=True, kv_heads=3)
    else:
        vocab, model = 8192, Decoder(512, 8, 8, 8192, a.seq, 1408, tied=True)
    if a.lora:
        model.adapt(a.lora)
    torch.set_float32_matmul_precision("high")
    print(json.dumps(measure(model, vocab, a.batch, a.seq, a.steps, a.device, a.dtype, a.compile)))


main()
