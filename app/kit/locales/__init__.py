"""Translations of what people outside the agency read, a catalogue (`ru.po`) for each language."""
