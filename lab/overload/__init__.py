"""What happens when three times as much arrives as the service can answer."""
