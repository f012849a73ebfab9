"""From a workstation to cameras: signed releases, and the agent that installs them."""
