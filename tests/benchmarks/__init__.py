"""The benchmarks, tried."""
