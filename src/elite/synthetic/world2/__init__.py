"""World 2: streets, objects and LiDAR whose scans resemble real ones."""
