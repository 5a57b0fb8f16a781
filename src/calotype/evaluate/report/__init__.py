"""Tables for people: pages in HTML and Markdown, plots."""
