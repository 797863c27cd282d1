"""What is said about a case, as Markdown: sums, sentences, refusals, misreadings."""
