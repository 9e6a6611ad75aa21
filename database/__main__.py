"""`python -m database upgrade|status`: the schema of the database at GATEWAY_DATABASE_URL."""

import argparse
import sys

from pydantic import ValidationError

from database.engine import DatabaseError, head, open_engine, revision, upgrade
from database.settings import DatabaseSettings


def main() -> int:
    """Returns 0 where the schema is the newest, 1 where it is not, 2 where it cannot be told."""
    parser = argparse.ArgumentParser(prog="python -m database", description=__doc__)
    parser.add_argument(
        "command", choices=["upgrade", "status"], help="migrate the schema, or say how it is"
    )
    command = parser.parse_args().command
    try:
        engine = open_engine(DatabaseSettings().database_url)
        if command == "upgrade":
            upgrade(engine)
        found = revision(engine)
    except ValidationError as error:
        sys.stderr.write(f"database: {error.errors()[0]['msg'].removeprefix('Value error, ')}\n")
        return 2
    except DatabaseError as error:
        sys.stderr.write(f"database: {error}\n")
        return 2
    sys.stdout.write(f"schema: {found or 'none'}; newest: {head()}\n")
    return 0 if found == head() else 1


if __name__ == "__main__":
    sys.exit(main())
