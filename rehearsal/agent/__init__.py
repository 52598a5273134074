"""The rehearsal's agent: what Azure Pipelines does with a pipeline's YAML."""
