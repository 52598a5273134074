"""The rehearsal: local stand-ins of Azure DevOps and Databricks, and the engine that `pulumi up` runs on one machine.

Nothing in the product imports this package, and nothing in it imports the product.
"""
