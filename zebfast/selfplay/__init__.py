"""Forest and evaluator play games; games become training examples."""
