"""YouTube: the adapter, its wire models, paginators and errors, and the translation to the contract."""
