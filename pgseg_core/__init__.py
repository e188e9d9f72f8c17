"""The framework-light core: model, prototype maths, training and inference."""
