"""Engines behind one call: each backend is a file or folder, imported only when a package asks for it."""
