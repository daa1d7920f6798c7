"""One declaration, `shipped/stripe.yaml`, written in the way of each other tool."""
