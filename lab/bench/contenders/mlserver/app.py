"""`python -m lab.bench.contenders.mlserver.app`: a worker for each core, one thread each."""

import asyncio
import os
import tempfile

from mlserver import MLServer
from mlserver.settings import ModelSettings, Settings

from lab.bench.contenders.mlserver.runtime import Classifier


async def _serve() -> None:
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=int(os.environ["SECOND_PORT"]),
        grpc_port=int(os.environ["PORT"]),
        metrics_endpoint=None,
        metrics_dir=tempfile.gettempdir(),
        environments_dir=tempfile.gettempdir(),
        parallel_workers=os.cpu_count() or 1,
    )
    model = ModelSettings(name="classifier", implementation=Classifier)
    await MLServer(settings).start(models_settings=[model])


if __name__ == "__main__":
    asyncio.run(_serve())
