"""Authentication and authorisation: workspaces (an agency is one), their members, their API keys."""
