"""The members' logits to one decision, its confidence and its uncertainty."""
