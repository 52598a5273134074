"""Where the rehearsal's jobs run: real Spark with Delta, in processes of its own."""
