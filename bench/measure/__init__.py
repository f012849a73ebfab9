"""What is measured of engines, each in a process of its own."""
