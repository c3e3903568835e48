"""Why did it say so: explanations as raw maps, their pictures, and proof that they mean something."""
