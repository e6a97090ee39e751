"""Reading and writing video files, by the extra `video` (PyAV)."""
