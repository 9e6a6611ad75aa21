"""Pure metrics of answers against labels: arrays or objects in, numbers out."""
