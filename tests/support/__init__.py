"""What tests share: servers, data and questions."""
