"""A detector's candidates to boxes, masks and a picture in the coordinates of the image."""
