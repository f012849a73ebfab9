"""The synthetic re-ID set: synthetic people, cameras and frames; no torch here."""

from osnet_edge.train.synthetic.crops import sample_crops
from osnet_edge.train.synthetic.frames import draw_frame, write_frames
from osnet_edge.train.synthetic.layout import write_set
from osnet_edge.train.synthetic.style import STYLES
from osnet_edge.train.synthetic.video import count_frames, write_video

__all__ = ["STYLES", "count_frames", "draw_frame", "sample_crops", "write_frames", "write_set", "write_video"]
