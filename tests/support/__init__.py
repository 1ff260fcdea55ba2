"""What tests share: servers, builders of distributions, clients."""
