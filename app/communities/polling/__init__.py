"""Reading communities again and again, within what their platforms allow."""
