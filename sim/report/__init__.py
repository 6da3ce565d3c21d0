"""What a result, a chip and a network look like as text."""
