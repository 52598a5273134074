"""A working Pulumi engine on any machine: found, downloaded or built from Go modules.

toolchain = ensure()
subprocess.run(["pulumi", "up"], env={**os.environ, **toolchain.environment(home=Path(".rehearsal/pulumi"))})
"""

from rehearsal.toolchain.engine import Part, Toolchain, ToolchainError, ensure, locate

__all__ = ["Part", "Toolchain", "ToolchainError", "ensure", "locate"]
