"""What finished runs tell: comparison and predictions."""
