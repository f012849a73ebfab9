"""What training makes small."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.train.losses import batch_hard_triplet, objective, teacher_alignment
from osnet_edge.train.recipe import Loss


def slow_triplet(rows: list[list[float]], labels: list[int], margin: float) -> float:
    """Compute the loss an image at a time."""
    points = [torch.tensor(row, dtype=torch.float64) for row in rows]
    terms = []
    for anchor, label in zip(points, labels, strict=True):
        distances = [
            (float((anchor - other).norm()), theirs == label)
            for other, theirs in zip(points, labels, strict=True)
        ]
        hardest = max(d for d, same in distances if same)
        others = [d for d, same in distances if not same]
        terms.append(max(0.0, margin + hardest - min(others)) if others else 0.0)
    return sum(terms) / len(terms)


@given(st.integers(0, 2**31), st.integers(2, 10), st.floats(0, 2))
def test_the_triplet_loss_equals_the_slow_way(seed: int, count: int, margin: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, 3, generator=generator)
    labels = torch.randint(0, 3, (count,), generator=generator)
    expected = slow_triplet(rows.tolist(), labels.tolist(), margin)
    assert batch_hard_triplet(rows, labels, margin).item() == pytest.approx(expected, abs=1e-3)


def test_a_picture_is_at_no_distance_from_itself_and_near_ones_are_told_apart() -> None:
    """A long way from zero, where sums of squares lose what tells near images apart."""
    rows = 1000 + torch.tensor([[0.0, 0.0], [0.0, 0.01], [9.0, 9.0]])
    loss = batch_hard_triplet(rows, torch.tensor([0, 1, 2]), margin=0.02)
    # Nobody has a second image; two of the three have one of another person within the margin.
    apart = (rows[1] - rows[0]).norm().item()
    assert loss.item() == pytest.approx(2 * (0.02 - apart) / 3, abs=1e-6)


def test_the_loss_is_the_same_within_autocast_as_without() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, teacher = (100 + torch.rand(12, 16, generator=generator) for _ in range(2))
    logits, labels = torch.randn(12, 4, generator=generator), torch.arange(12) % 4
    how = Loss(triplet=1.0)
    expected = objective(rows, logits, labels, how, teacher)
    with torch.autocast("cpu", torch.bfloat16):
        found = objective(rows, logits, labels, how, teacher)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


def test_gradients_stay_finite_between_equal_pictures() -> None:
    rows = torch.ones(4, 3, requires_grad=True)
    batch_hard_triplet(rows, torch.tensor([0, 0, 1, 1]), 0.3).backward()
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()


@given(st.integers(0, 2**31), st.floats(0.1, 10), st.floats(-5, 5))
def test_a_student_that_points_where_its_teacher_does_loses_nothing(
    seed: int, scale: float, move: float
) -> None:
    teacher = torch.randn(8, 16, generator=torch.Generator().manual_seed(seed))
    assert teacher_alignment(scale * teacher + move, teacher).item() == pytest.approx(0, abs=1e-4)
    assert teacher_alignment(-scale * teacher + move, teacher).item() == pytest.approx(2, abs=1e-4)


def test_learning_from_a_teacher_brings_the_similarities_together() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher, student = torch.randn(12, 16, generator=generator), torch.randn(12, 16, generator=generator)
    student.requires_grad_(True)
    optimizer = torch.optim.Adam([student], lr=0.05)
    for _ in range(200):
        loss = teacher_alignment(student, teacher)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    ours, theirs = (torch.nn.functional.normalize(rows - rows.mean(0)) for rows in (student, teacher))
    torch.testing.assert_close(ours @ ours.T, theirs @ theirs.T, rtol=0, atol=0.02)


def test_the_teacher_is_not_taught_and_equal_pictures_break_nothing() -> None:
    teacher, student = torch.ones(4, 8), torch.ones(4, 8, requires_grad=True)
    teacher_alignment(student, teacher).backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
