"""The language of Azure Pipelines YAML: files become a plan of a run, and expressions their values."""
