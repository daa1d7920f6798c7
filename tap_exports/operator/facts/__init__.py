"""What the providers' documents leave open, and what live replies say of it; free read-only requests only."""
