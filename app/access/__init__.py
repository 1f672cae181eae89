"""Who may do what: workspaces (an agency is one), their people, their API keys."""
