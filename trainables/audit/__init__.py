"""What is wrong with a data set before anything is trained on it: copies, slices of one subject, shortcuts."""
