"""What needs a person, told to the person whose seat it is: by mail, and by the agency's own bot."""
