"""What gateways keep: tables, migrations, and the one writer."""
