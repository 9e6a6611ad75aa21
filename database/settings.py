"""Where the database is, from the environment."""

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from database.engine import DatabaseError, is_embedded

DEFAULT_URL = "sqlite:///.run/second-opinion.db"


class DatabaseSettings(BaseSettings):
    """GATEWAY_DATABASE_URL."""

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="GATEWAY_", env_ignore_empty=True, extra="ignore"
    )

    database_url: str = Field(default=DEFAULT_URL, repr=False)
    """`sqlite:///FILE` for one gateway on a local disk, or `postgresql://USER@HOST/DATABASE`; with
    `?passfile=FILE` the password stays in a file, as libpq reads it."""

    @property
    def embedded_database(self) -> bool:
        """Whether the database is a file of this machine, which the gateway sets up by itself."""
        return is_embedded(self.database_url)

    @field_validator("database_url")
    @classmethod
    def _usable(cls, value: str) -> str:
        try:
            is_embedded(value)
        except DatabaseError as error:
            raise ValueError(str(error)) from None
        return value
