"""The canary: sends a made-up deal the whole way from webhook to mail, and tells where it got stuck."""
