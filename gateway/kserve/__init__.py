"""KServe's inference protocol (v2) without its transport: requests, answers, facts of pipelines."""
