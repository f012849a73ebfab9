"""Parts of `scripts/arm64_check.py`: a camera with an ARM processor, emulated."""
