"""What people ask of the warehouse, read-only, and its answers as pages, files and DataFrames."""
