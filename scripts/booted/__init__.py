"""A camera that boots: Debian with systemd in a virtual machine, for `booted_camera.py`."""
