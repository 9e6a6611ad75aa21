"""What builds the images on one machine, and what tries the gateway's."""
