"""What the notebooks' chain and the rehearsal's compute cost, beside plain programs that do the same."""
