"""A result as text, tables, charts and pages."""
