"""The few batch sizes that an engine runs at on a GPU, where a CUDA graph or a compiled kernel is for one."""

from __future__ import annotations


def bucket_of(size: int, least: int, most: int) -> int:
    """Return the batch size that `size` images are padded to.

    Four sizes for each doubling: every one to 8, then 10, 12, 14, 16, 20, 24, 28, 32, 40 and so on. Padding
    is under a fifth of a batch at worst (17 images run as 20, 65 as 80). Where a frame holds 1 to 32
    people, each number as likely, it is 5 % of all work, and there are 16 sizes.

    Args:
        size: images, 1 to `most`.
        least: the smallest batch that the plan takes.
        most: the largest, which is a size too.

    Example:
        >>> [bucket_of(size, 1, 30) for size in (1, 7, 8, 9, 17, 29)]
        [1, 7, 8, 10, 20, 30]
    """
    step = 1 << max(0, (size - 1).bit_length() - 3)
    return min(max(-(-size // step) * step, least), most)
