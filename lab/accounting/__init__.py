"""Accounts for each answer of a service that is broken meanwhile: one row, and a right one."""
