"""The release that the authors of TANS publish: read, imported, and asked by its queries."""
