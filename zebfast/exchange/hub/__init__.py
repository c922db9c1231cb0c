"""The Hugging Face Hub as a store of weights and examples."""
