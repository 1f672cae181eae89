"""VK: the adapter, its wire models, error codes, paginators and Callback API, and the translation to the contract."""
