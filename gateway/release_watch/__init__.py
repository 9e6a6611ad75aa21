"""Watches the newest promotion: whether the release is worse than the former one."""
