"""Trial runs of a template: what it does with messages whose words nobody knows yet."""
