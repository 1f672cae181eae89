"""What VK's adapter is made of: its error table, the shapes of its answers, their translation."""
