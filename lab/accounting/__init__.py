"""Accounts for each answer of a service that is broken meanwhile: one row, and a right one."""

import os

# Callers use gRPC in threads: its handlers of forks end the programs that control PostgreSQL.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
