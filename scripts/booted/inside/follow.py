"""What a camera's program does, with drawn frames: `follow.py LINK HEARTBEAT` embeds twice a second."""

from __future__ import annotations

import itertools
import math
import os
import signal
import sys
import time

import numpy as np

from osnet_edge.runtime import FollowingEmbedder

_BOXES = [[20, 20, 84, 148], [100, 30, 164, 158], [180, 10, 244, 138]]


def main(link: str, heartbeat: str) -> None:
    """Embed for ever."""
    drawn = np.random.default_rng(7).integers(0, 250, (180, 260, 3), np.uint8)
    with FollowingEmbedder(link, threads=1, heartbeat=heartbeat, wait_s=math.inf) as embedder:
        for count in itertools.count():
            frame = drawn.copy()
            if count % 6 == 0:
                # Somebody in the glare of a lamp.
                frame[:, :90] = 255
            try:
                embedder.embed_boxes(frame, _BOXES, bgr=True)
            except Exception as error:
                print(f"a frame was left out: {error}", file=sys.stderr)
                if os.environ.get("ENDS_ON_ERROR"):
                    # As an engine does that writes past its memory.
                    os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
