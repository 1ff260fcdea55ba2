"""The parts of `benchmarks/run.py`: contestants, the corpus, measurements, the table and the picture."""
