"""Expected losses and gradients of `unlearn/src/loss`, by PyTorch 2.13.

    python tests/reference/losses.py > tests/fixtures/losses.json
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(7)
N, V = 6, 11
logits = torch.randn(N, V) * 3
other = torch.randn(N, V) * 3
reference = torch.randn(N, V) * 3
other_reference = torch.randn(N, V) * 3
targets = torch.randint(0, V, (N,))
sequences = torch.tensor([0, 0, 1, 2, 2, 2])
choices = torch.tensor([0, 0, 1, 2, 3, 3])
BETA, STRENGTH, FLOOR, LIMIT, TEMPER = 0.7, 5.0, -4.0, 9.0, 0.5
LEFT_OUT = [[3], [], [0, 10], [], [5], []]
NAMING = [[3, 5, 7], [1], [0, 10], [2, 4, 6, 8], [9, 1], [0, 1, 2]]


def at_targets(z):
    return F.log_softmax(z, -1).gather(1, targets[:, None])[:, 0]


def ascent(z, _):
    return -F.cross_entropy(z, targets)


def bounded_ascent(z, _):
    return at_targets(z).clamp_min(FLOOR).mean()


def nll(z, _):
    return F.cross_entropy(z, targets)


def npo(z, _):
    rise = at_targets(z) - at_targets(reference)
    per_sequence = torch.stack([rise[sequences == s].sum() for s in range(3)])
    return -(2 / BETA) * F.logsigmoid(-BETA * per_sequence).mean()


def dpo(z, _):
    rise = at_targets(z) - at_targets(reference)
    preferred, other = (torch.stack([rise[choices == s].sum() for s in pair]) for pair in ((0, 1), (2, 3)))
    return -F.logsigmoid(BETA * (preferred - other)).mean()


def undial(z, _):
    teacher = reference.clone()
    teacher[torch.arange(N), targets] -= STRENGTH
    return F.kl_div(F.log_softmax(z, -1), F.softmax(teacher, -1), reduction="batchmean")


def kl(z, _):
    return F.kl_div(F.log_softmax(z, -1), F.softmax(reference, -1), reduction="batchmean")


def squared_gap(z, y):
    return ((at_targets(z) - at_targets(y)) ** 2).clamp_max(LIMIT).mean()


def mixture(z, y):
    q = (F.softmax(reference, -1) + F.softmax(other_reference, -1)) / 2
    to = [F.kl_div(F.log_softmax(x, -1), q, reduction="batchmean") for x in (z, y)]
    return (to[0] + to[1]) / 2


def tempered_gap(z, y):
    reference_logs = [F.log_softmax(x, -1) for x in (reference, other_reference)]
    weights = TEMPER * sum(reference_logs) / 2
    for row, columns in enumerate(LEFT_OUT):
        weights[row, columns] = float("-inf")
    weights = F.softmax(weights, -1)
    gap = F.log_softmax(z, -1) - F.log_softmax(y, -1)
    return (weights * gap**2).sum(-1).mean()


def agreement(z, _):
    rows = [F.kl_div(F.log_softmax(z[row, columns], -1), F.softmax(reference[row, columns], -1), reduction="sum")
            for row, columns in enumerate(NAMING)]
    return sum(rows) / N


def expected(loss):
    z, y = logits.clone().requires_grad_(), other.clone().requires_grad_()
    value = loss(z, y)
    value.backward()
    gradients = [x.grad if x.grad is not None else torch.zeros(N, V) for x in (z, y)]
    return {"loss": value.item(), "gradients": [g.tolist() for g in gradients]}


losses = [ascent, bounded_ascent, nll, npo, dpo, undial, kl, squared_gap, mixture, tempered_gap, agreement]
print(
    json.dumps(
        {
            "logits": logits.tolist(),
            "other": other.tolist(),
            "reference": reference.tolist(),
            "other_reference": other_reference.tolist(),
            "targets": targets.tolist(),
            "sequences": sequences.tolist(),
            "choices": choices.tolist(),
            "beta": BETA,
            "strength": STRENGTH,
            "floor": FLOOR,
            "limit": LIMIT,
            "temper": TEMPER,
            "left_out": LEFT_OUT,
            "naming": NAMING,
            "expected": {loss.__name__: expected(loss) for loss in losses},
        },
        indent=1,
    )
)
