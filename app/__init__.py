"""Model-as-a-Service: a fitted scikit-learn model behind an HTTP endpoint."""
