"""What Odnoklassniki's adapter is made of: signature, error table, shapes of answers, translation, cursors."""
