"""One module for each program that takes engines, and its page of instructions beside it."""
