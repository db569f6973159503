"""Messages to a prompt: chat templates, and prompt formats that are code."""
