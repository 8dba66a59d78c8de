"""What is shown of a workflow and its runs."""
